# SPDX-License-Identifier: BSD-2-Clause
"""Which machine files a verb that starts machines is to act on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from manager import files
from manager.cli.arguments import is_file, load
from manager.errors import NoSuchMachineError, UsageError
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.state.situation import Situation

_LARGEST = 1 << 20
"""Bytes of a TOML file that is looked into."""
_BOOTS = re.compile(r"^\s*(?:\[boot\]|extends\s*=)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Target:
    """A machine file, and the settings it is read with."""

    file: Path
    settings: Sequence[str]
    """KEY=VALUE, as `--set` gives them."""

    def graph(self, *, remember: bool = False) -> Graph:
        """Its graph; see `load`."""
        return load(self.file, self.settings, remember=remember)

    def bootable(self) -> Graph:
        """Its graph, once all that it boots from is there; without warnings. Raises ConfigError."""
        from manager.config.diagnostics import ConfigError
        from manager.graph.build import check

        checked = check(self.file, self.settings, require_files=True)
        if checked.graph is None:
            raise ConfigError(checked.diagnostics)
        return checked.graph

    def require_boot_files(self, graph: Graph) -> None:
        """Raise ConfigError, with what is missing, unless all that it boots from is there."""
        from manager.graph.boot_files import boot_files

        if not all(path.is_file() for path in boot_files(graph.boot).values()):
            load(self.file, self.settings, require_files=True)


def named(name: str, settings: Sequence[str]) -> Target:
    """What FILE or NAME means to `up`: a known machine is started as it was the last time.

    Raises NoSuchMachineError for neither, UsageError when the machine's file is gone.
    """
    from manager.names import NAME
    from manager.state.paths import MachinePaths, require_no_lab
    from manager.state.situation import look

    if not is_file(name) and "/" in name:
        require_no_lab(MachinePaths.of(name), "up")
    if is_file(name) or not NAME.fullmatch(name):
        return Target(Path(name), settings)
    situation = look(MachinePaths.of(name))
    if situation.state != "stopped" or situation.is_known:
        return of_known(situation, settings)
    if Path(name).is_file():
        return Target(Path(name), settings)
    there = Path(f"{name}.toml").is_file()
    raise NoSuchMachineError(
        f"there is no machine {name!r}, and no file of that name",
        help=f"did you mean `{name}.toml`?"
        if there
        else "`vmmgr ls` shows the machines that are known",
    )


def of_known(situation: Situation, settings: Sequence[str]) -> Target:
    """The file of a machine that ran before, with the settings it had then, and new ones.

    Raises UsageError when the file is gone.
    """
    record = situation.last_run
    if record is not None and Path(record.file).is_file():
        return Target(Path(record.file), [*record.given, *settings])
    where = f"its machine file {record.file} is gone" if record is not None else "it has none"
    name = situation.name
    raise UsageError(
        f"{name} cannot be booted: {where}",
        help=f"`vmmgr resume {name}` goes on with its suspended state"
        if situation.saved is not None
        else "name the file that it is to be booted from",
    )


def machine_file_here(folder: Path) -> Path:
    """The one machine file in a folder. Raises UsageError when there is none, or several."""
    found = [path.name for path in sorted(folder.glob("*.toml")) if _is_machine_file(path)]
    if len(found) == 1:
        return Path(found[0])
    if not found:
        raise UsageError(
            "there is no machine file in this folder",
            help="name one, or write one to start from: `vmmgr new NAME`",
        )
    raise UsageError(
        f"there are {len(found)} machine files in this folder: {', '.join(found)}",
        help=f"name one of them, as in `vmmgr up {found[0]}`",
    )


def _is_machine_file(path: Path) -> bool:
    """Whether a TOML file says what a machine boots; one with faults counts, to be told of."""
    import tomli

    try:
        text = files.read(path, _LARGEST).decode(errors="replace")
        tree = tomli.loads(text)
    except (tomli.TOMLDecodeError, RecursionError):
        return _BOOTS.search(text) is not None
    except OSError:
        return False
    return isinstance(tree.get("boot"), dict) or "extends" in tree
