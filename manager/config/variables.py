# SPDX-License-Identifier: BSD-2-Clause
"""`[vars]`, `${name}` and `--set`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli

from manager.config.diagnostics import Diagnostic
from manager.config.layers import Layers
from manager.config.scan import Entry, KeyPath, Region
from manager.config.source import Source, Tree, wide_integers
from manager.config.suggest import did_you_mean

_REFERENCE = re.compile(r"\$\$\{|\$\{([A-Za-z0-9_-]+)\}|\$\{")


def apply_overrides(layers: Layers, overrides: Sequence[str]) -> None:
    """Lay each `path=value` over the tree; a path that is the name of a variable sets that."""
    for override in overrides:
        source = Source("--set", Path.cwd(), override)
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
        layers.add(_with_places(source, tree, len(key)), tree, override=True)


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


def expand(layers: Layers) -> None:
    """Take `[vars]` off the tree and put the values in for `${name}`, in strings only."""
    table = layers.tree.pop("vars", {})
    values: dict[str, str] = {}
    span = layers.origins.value_span
    if not isinstance(table, dict):
        layers.problems.append(Diagnostic("VM011", "`vars` is a table", span(("vars",))))
        table = {}
    for name, value in table.items():
        if isinstance(value, str):
            values[name] = value
        else:
            values[name] = str(value)
            help = f'write {name} = "{values[name]}"' if isinstance(value, int | float) else None
            problem = Diagnostic("VM011", "a variable is a string", span(("vars", name)), help=help)
            layers.problems.append(problem)

    used: set[str] = set()

    def walk(path: KeyPath, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk((*path, key), item) for key, item in value.items()}
        if isinstance(value, list):
            return [walk((*path, index), item) for index, item in enumerate(value)]
        return replaced(path, value) if isinstance(value, str) and "${" in value else value

    def replaced(path: KeyPath, text: str) -> str:
        def one(match: re.Match[str]) -> str:
            if match[0] == "$${":
                return "${"
            used.add(match[1])
            if match[1] in values:
                return values[match[1]]
            layers.problems.append(_unknown(match[1], values, span(path)))
            return match[0]

        return _REFERENCE.sub(one, text)

    for key, value in layers.tree.items():
        if not key.startswith("x-"):
            layers.tree[key] = walk((key,), value)
    for name in values.keys() - used:
        place = layers.origins.key_span(("vars", name))
        help = f"write `${{{name}}}` in a string, or remove it"
        layers.problems.append(
            Diagnostic("VM109", f"nothing uses the variable `{name}`", place, help=help)
        )


def _unknown(name: str | None, values: dict[str, str], span: Any) -> Diagnostic:
    if name is None:
        help = "a name is letters, digits, - and _; write `$${` for the characters themselves"
        return Diagnostic("VM007", "`${` without a variable's name and `}`", span, help=help)
    near = did_you_mean(name, values) or f"set it in `[vars]` or with `--set {name}=VALUE`"
    return Diagnostic("VM006", f"the variable `{name}` is not set", span, help=near)
