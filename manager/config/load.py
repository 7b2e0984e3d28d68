# SPDX-License-Identifier: BSD-2-Clause
"""From the text of a machine file to its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from manager.config import firmware
from manager.config.boot import BootTable
from manager.config.debugger import is_socket_path
from manager.config.diagnostics import ConfigError, Diagnostic, errors
from manager.config.disks import DiskTable
from manager.config.expansion import expand
from manager.config.findings import Tables, diagnose, unknown_keys
from manager.config.layers import Layers, read_layers
from manager.config.modules import join_module, split_module
from manager.config.scan import KeyPath
from manager.config.schema import BY_TYPE, MachineTable, device_table, table_at
from manager.config.sections import DebugTable
from manager.config.shares import ShareTable
from manager.config.source import Origins, Source, Tree
from manager.config.values import path_keys
from manager.config.variables import apply_overrides
from manager.devices import own
from manager.devices.claims import PORTS

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class LoadedModel:
    """A model, and where each part of it was written."""

    model: MachineTable
    source: Path
    """The machine file, as an absolute path."""
    files: tuple[Path, ...]
    """Every file that was read, the machine file last."""
    origins: Origins
    """Takes model paths such as ("slots", "4.1", "backend") to places in files."""
    environment: Mapping[str, str | None]
    """The environment variables that were read, and what they were."""


@dataclass(frozen=True)
class Reading:
    """What became of a machine file: a model, unless `diagnostics` say why not.

    There can be both: with unknown keys left out, the rest may still be worth judging.
    """

    loaded: LoadedModel | None
    diagnostics: tuple[Diagnostic, ...]


def load(path: Path, overrides: Sequence[str] = ()) -> LoadedModel:
    """Read a machine file, what it extends, and `KEY=VALUE` overrides.

    Raises ConfigError, with every error found.
    """
    outcome = inspect(path, overrides)
    if outcome.loaded is None or errors(outcome.diagnostics):
        raise ConfigError(outcome.diagnostics)
    return outcome.loaded


def inspect(path: Path, overrides: Sequence[str] = ()) -> Reading:
    """Like `load`, but errors are returned."""
    laid = lay(path, overrides)
    if not isinstance(laid, Laid):
        return Reading(None, tuple(laid))
    tree, origins = laid.tree, laid.layers.origins
    if isinstance(tree.get("machines"), dict):
        span, help = origins.key_span(("machines",)), "name the file of one of its machines"
        found = Diagnostic("VM035", "this is a lab, and a machine is wanted", span, help=help)
        return Reading(None, (found,))
    _resolve_paths(tree, origins)
    model, faults = validate(MachineTable, tree, origins, table_at)
    problems = laid.problems(faults)
    if model is None:
        return Reading(None, problems)
    environment = laid.layers.environment
    return Reading(LoadedModel(model, laid.paths[-1], laid.paths, origins, environment), problems)


@dataclass(frozen=True)
class Laid:
    """A file with all that it extends and all that is set, as one tree of plain values."""

    tree: Tree
    layers: Layers
    paths: tuple[Path, ...]
    """Of every file that was read, the one that was asked for last."""

    def problems(self, faults: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
        """What was found wrong so far, and what `faults` add to it."""
        blamed = {item.primary for item in self.layers.problems} | self.layers.excused
        return (*self.layers.problems, *(item for item in faults if item.primary not in blamed))


def lay(path: Path, overrides: Sequence[str] = ()) -> Laid | list[Diagnostic]:
    """Read a file and what it extends; what is wrong if that cannot be done."""
    problems: list[Diagnostic] = []
    files = read_layers(path, problems)
    if problems:
        return problems
    layers = Layers(files[-1][0])
    for source, tree in files:
        layers.add(source, tree)
    apply_overrides(layers, overrides)
    expand(layers)
    tree = {key: value for key, value in layers.tree.items() if not key.startswith("x-")}
    tree.setdefault("name", path.stem)
    return Laid(tree, layers, tuple(source.path for source, _ in files))


def validate(
    kind: type[Model], tree: Tree, origins: Origins, tables: Tables
) -> tuple[Model | None, list[Diagnostic]]:
    """The model of a tree, and what is wrong with it; `tables` has the models of its tables."""
    try:
        return kind.model_validate(tree), []
    except ValidationError as error:
        details = error.errors(include_url=False)
    found = diagnose(details, tree, origins, tables)
    known = tree
    for path in unknown_keys(details, tree):
        known = _without(known, path)
    try:
        return kind.model_validate(known), found
    except ValidationError:
        return None, found


def _without(tree: Tree, path: KeyPath) -> Tree:
    key = str(path[0])
    if len(path) == 1:
        return {name: value for name, value in tree.items() if name != key}
    return {**tree, key: _without(tree[key], path[1:])}


def _resolve_paths(tree: Tree, origins: Origins) -> None:
    """Make relative paths absolute, from the directory of the file that names each."""
    boot = tree.get("boot")
    if isinstance(boot, dict):
        _resolve_keys(boot, BootTable, ("boot",), origins)
        modules = boot.get("modules")
        if isinstance(modules, list):
            for index, module in enumerate(modules):
                if isinstance(module, str):
                    directory = origins.source(("boot", "modules", index)).directory
                    name, arguments = split_module(module)
                    modules[index] = join_module(directory / name, arguments)
    gdb = tree.get("gdb")
    if isinstance(gdb, dict) and is_socket_path(str(gdb.get("listen", ""))):
        _resolve(gdb, "listen", origins.source(("gdb", "listen")))
    debug = tree.get("debug")
    if isinstance(debug, dict):
        _resolve_keys(debug, DebugTable, ("debug",), origins)
    sandbox = tree.get("sandbox")
    if isinstance(sandbox, dict):
        for key in ("read", "write"):
            _resolve_list(sandbox, key, ("sandbox", key), origins)
    for section, model in (("disks", DiskTable), ("shares", ShareTable)):
        tables = tree.get(section)
        for name, table in tables.items() if isinstance(tables, dict) else ():
            if isinstance(table, dict):
                _resolve_keys(table, model, (section, name), origins)
    for section in ("slots", "lpc"):
        tables = tree.get(section)
        for name, table in tables.items() if isinstance(tables, dict) else ():
            if isinstance(table, dict):
                device = table.get("device")
                if isinstance(device, str) and own.is_own(device):
                    _resolve(table, "device", origins.source((section, name, "device")))
                _resolve_keys(table, device_table(section, name, table), (section, name), origins)


def _resolve_keys(
    table: Tree, model: type[BaseModel] | None, path: KeyPath, origins: Origins
) -> None:
    """Make the paths of a table absolute, its backend's too, and those of its ports."""
    for key in path_keys(model) if model is not None else ():
        _resolve(table, key, origins.source((*path, key)))
    for key, kinds in BY_TYPE.items():
        given = table.get(key)
        if isinstance(given, dict):
            _resolve_keys(given, kinds.get(str(given.get("type"))), (*path, key), origins)
    named = table.get(PORTS)
    for name, port in named.items() if isinstance(named, dict) else ():
        if isinstance(port, dict):
            _resolve_keys(port, None, (*path, PORTS, name), origins)


def _resolve_list(table: Tree, key: str, path: KeyPath, origins: Origins) -> None:
    """Make the paths of a list absolute."""
    given = table.get(key)
    if not isinstance(given, list):
        return
    for index, value in enumerate(given):
        if isinstance(value, str):
            given[index] = str(origins.source((*path, index)).directory / value)


def _resolve(table: Tree, key: str, source: Source) -> None:
    value = table.get(key)
    if isinstance(value, str) and not (key == "firmware" and value in firmware.NAMED):
        table[key] = str(source.directory / value)
