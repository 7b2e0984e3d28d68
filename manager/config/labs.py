# SPDX-License-Identifier: BSD-2-Clause
"""A lab file: machines, each with its own file, and the wires between them.

A file is a lab when it has [machines]. It is read as machine files are: `extends`, variables,
`--set`; a setting of `machines.NAME.KEY` is one for that machine's file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from manager import files
from manager.config.diagnostics import Diagnostic
from manager.config.lab_tables import SECTIONS, LabTable, table_at
from manager.config.load import Laid, lay, validate
from manager.config.scan import Region
from manager.config.source import Origins, Source, Tree
from manager.config.suggest import did_you_mean
from manager.config.values import path_keys
from manager.settings import Setting

_OF_A_MACHINE = re.compile(r"machines\.([a-z0-9-]+)\.(?!(?:file|set)\s*=|set\.)(.+)", re.DOTALL)


@dataclass(frozen=True)
class LoadedLab:
    """A lab's model, and where each part of it was written."""

    model: LabTable
    source: Path
    """The lab file, as an absolute path."""
    files: tuple[Path, ...]
    """Every file that was read for the lab itself."""
    origins: Origins
    settings: Mapping[str, tuple[str, ...]]
    """What is set of each machine, as `--set` has it; its name comes first."""
    environment: Mapping[str, str | None]


@dataclass(frozen=True)
class LabReading:
    """What became of a lab file: a model, unless `diagnostics` say why not."""

    loaded: LoadedLab | None
    diagnostics: tuple[Diagnostic, ...]


def is_lab(path: Path) -> bool:
    """Whether a file is a lab; one that cannot be read is none."""
    import tomli

    try:
        tree = tomli.loads(files.read(path, files.TEXT).decode())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(tree.get("machines"), dict)


def inspect_lab(path: Path, overrides: Sequence[str] = ()) -> LabReading:
    """Read a lab file, but not those of its machines."""
    own, for_machines = [], []
    for override in map(Setting.of, overrides):
        match = _OF_A_MACHINE.fullmatch(override)
        if match is None:
            own.append(override)
        else:
            for_machines.append((match[1], Setting(match[2], override.folder)))
    laid = lay(path, own)
    if not isinstance(laid, Laid):
        return LabReading(None, tuple(laid))
    tree, origins = laid.tree, laid.layers.origins
    _resolve_paths(tree, origins)
    model, faults = validate(LabTable, tree, origins, table_at)
    problems = list(laid.problems(faults))
    if model is None:
        return LabReading(None, tuple(problems))
    settings = {name: list(_settings(model, origins, name)) for name in model.machines}
    for name, setting in for_machines:
        if name in settings:
            settings[name].append(setting)
            continue
        source = Source("--set", setting.folder, f"machines.{name}.{setting}")
        place = source.span(Region(0, len(source.text)))
        help = did_you_mean(name, settings)
        problems.append(Diagnostic("VM008", f"there is no machine `{name}`", place, help=help))
    given = {name: tuple(items) for name, items in settings.items()}
    environment = laid.layers.environment
    loaded = LoadedLab(model, laid.paths[-1], laid.paths, origins, given, environment)
    return LabReading(loaded, tuple(problems))


def _resolve_paths(tree: Tree, origins: Origins) -> None:
    """Make paths absolute, from the directory of the file that names each."""
    for section, kind in SECTIONS.items():
        tables = tree.get(section)
        for name, table in tables.items() if isinstance(tables, dict) else ():
            for key in path_keys(kind) if isinstance(table, dict) else ():
                if isinstance(table.get(key), str):
                    table[key] = str(origins.source((section, name, key)).directory / table[key])


def _settings(model: LabTable, origins: Origins, name: str) -> Iterator[str]:
    """What the lab file sets of a machine."""
    yield f"name={name}"
    folder = origins.source(("machines", name, "file")).directory
    for key, value in model.machines[name].settings.items():
        yield Setting(f"{key}={value}", folder)
