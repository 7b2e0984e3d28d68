# SPDX-License-Identifier: BSD-2-Clause
"""`--set`, for variables and keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tomli

from manager.config.diagnostics import Diagnostic
from manager.config.layers import Layers
from manager.config.scan import Entry, KeyPath, Region
from manager.config.source import Source, Tree, wide_integers
from manager.config.suggest import did_you_mean
from manager.settings import Setting


def apply_overrides(layers: Layers, overrides: Sequence[str]) -> None:
    """Lay each `path=value` over the tree; a path that is the name of a variable sets that.

    Files that they name are relative to a Setting's folder, else to the present one.
    """
    for override in overrides:
        source = Source("--set", Setting.of(override).folder, override)
        key, equals, value = override.partition("=")
        path = _key_path(key)
        if not equals or path is None:
            _refuse(layers, source, f'"{override}" is not of the form KEY=VALUE')
            continue
        declared = layers.tree.get("vars")
        names = list(declared) if isinstance(declared, dict) else []
        if len(path) == 1 and path[0] in names:
            path = ("vars", *path)
        if len(path) == 1 and path[0] not in ("name", "schema"):
            help = did_you_mean(path[0], [*names, "name"])
            _refuse(layers, source, f"`{path[0]}` is neither a variable nor a key", help)
            continue
        setting = value if path[0] == "vars" else _value(value, _existing(layers.tree, path))
        tree: Tree = {path[-1]: setting}
        for name in reversed(path[:-1]):
            tree = {name: tree}
        layers.add(_with_places(source, tree, len(key)), tree, override=path)


def _refuse(layers: Layers, source: Source, message: str, help: str | None = None) -> None:
    span = source.span(Region(0, len(source.text)))
    layers.problems.append(Diagnostic("VM008", message, span, help=help))


def _key_path(text: str) -> tuple[str, ...] | None:
    """The parts of a dotted key, or None when it is not one."""
    try:
        tree: Any = tomli.loads(f"{text} = 0") if "\n" not in text else None
    except tomli.TOMLDecodeError:
        return None
    path: tuple[str, ...] = ()
    while isinstance(tree, dict) and len(tree) == 1:
        name, tree = next(iter(tree.items()))
        path += (name,)
    return path if path and tree == 0 else None


def _value(text: str, existing: object) -> Any:
    """A TOML value; text that is none, or that takes the place of a string, is a string."""
    if isinstance(existing, str) and text[:1] not in ('"', "'", "[", "{"):
        return text
    try:
        tree = tomli.loads(f"value = {text}")
    except ValueError:
        return text
    return tree["value"] if len(tree) == 1 and not any(wide_integers(tree)) else text


def _existing(tree: object, path: KeyPath) -> object:
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _with_places(source: Source, tree: Tree, width: int) -> Source:
    entries: dict[KeyPath, Entry] = {}
    entry = Entry(Region(0, width), Region(width + 1, len(source.text)))
    path: KeyPath = ()
    node: object = tree
    while isinstance(node, dict) and node:
        name, node = next(iter(node.items()))
        path += (name,)
        entries[path] = entry
    return Source(source.name, source.directory, source.text, entries)
