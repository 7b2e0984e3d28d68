# SPDX-License-Identifier: BSD-2-Clause
"""Machine files that were read before: their graphs, for as long as nothing about them changes.

Reading and judging a machine file takes longer than resuming its machine. Only files without
warnings are remembered, so that a warning is given every time.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager import cbor, files
from manager.errors import VmmgrError
from manager.settings import Setting
from manager.state.paths import private_directory, state_home
from manager.version import __version__

if TYPE_CHECKING:
    from manager.bus.record import Plain
    from manager.config.load import LoadedModel
    from manager.graph.nodes import Graph

KEPT = 64
"""Files that are remembered at most; the oldest go first."""
_PACKAGE = Path(__file__).parents[1]


def find(file: Path, settings: Sequence[str]) -> Graph | None:
    """The graph of a machine file with settings, if it is known and still true."""
    from manager.graph.plain import GraphFormatError, from_plain

    with suppress(OSError, ValueError, LookupError, TypeError, GraphFormatError):
        plain: Any = cbor.decode(files.read_own(_place(file, settings), files.TEXT))
        if (
            plain["code"] == _code()
            and all(_stamp(Path(path)) == stamp for path, stamp in plain["files"].items())
            and all(os.environ.get(name) == value for name, value in plain["environment"].items())
        ):
            return from_plain(plain["graph"])
    return None


def keep(file: Path, settings: Sequence[str], graph: Graph, loaded: LoadedModel) -> None:
    """Remember a graph and what it was made from. A host that refuses is no error."""
    from manager.graph.plain import to_plain

    with suppress(OSError, VmmgrError, ValueError, TypeError):
        stamps: dict[str, Plain] = {str(path): _stamp(path) for path in loaded.files}
        environment: dict[str, Plain] = dict(loaded.environment)
        place = _place(file, settings)
        private_directory(place.parent.parent)
        private_directory(place.parent)
        content: dict[str, Plain] = {
            "code": _code(),
            "files": stamps,
            "environment": environment,
            "graph": to_plain(graph),
        }
        files.replace(place, cbor.encode(content))
        known = sorted(place.parent.iterdir(), key=lambda path: path.stat().st_mtime)
        for old in known[:-KEPT]:
            old.unlink()


def _place(file: Path, settings: Sequence[str]) -> Path:
    from blake3 import blake3

    where = [str(file.absolute())]
    for setting in map(Setting.of, settings):
        where += [str(setting.folder), setting]
    name = blake3("\0".join(where).encode("utf-8", "surrogateescape")).hexdigest(16)
    return state_home() / ".graphs" / name


def _stamp(path: Path) -> list[Plain]:
    status = path.stat()
    return [status.st_mtime_ns, status.st_size, status.st_ino]


def _code() -> str:
    """Stands for the code that reads machine files."""
    newest = 0
    for part in ("config", "graph"):
        with os.scandir(_PACKAGE / part) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    newest = max(newest, entry.stat().st_mtime_ns)
    return f"{__version__} {newest}"
