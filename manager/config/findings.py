# SPDX-License-Identifier: BSD-2-Clause
"""What pydantic found wrong, as diagnostics with places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, time
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from manager.config import in_python, units
from manager.config.boot import BOOT_HELP
from manager.config.diagnostics import Diagnostic
from manager.config.scan import KeyPath
from manager.config.schema import BY_TYPE, bare
from manager.config.source import Origins, Tree
from manager.config.suggest import did_you_mean
from manager.devices import registry

_OF_THE_FILE = ("schema", "name", "extends", "allow")
"""Keys that are in no table."""
_EXPECTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "bool_type": "true or false",
    "tuple_type": "an array",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}
"""Pydantic's error: how it is told, and where its context has the bound."""
_FOUND: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (int, "an integer"),
    (float, "a number with a fraction"),
    (str, "a string"),
    (list, "an array"),
    (dict, "a table"),
    (datetime, "a date with a time"),
    (date, "a date"),
    (time, "a time"),
)


Tables = Callable[[Tree, KeyPath], type[BaseModel] | None]
"""The model of the table at a path of a tree, if there is one."""


def diagnose(
    details: Sequence[ErrorDetails], tree: Tree, origins: Origins, tables: Tables
) -> list[Diagnostic]:
    """Each of pydantic's errors about `tree`, in the words of the machine file."""
    return [_diagnose(item, _path(item["loc"], tree), tree, origins, tables) for item in details]


def unknown_keys(details: Sequence[ErrorDetails], tree: Tree) -> Iterator[KeyPath]:
    """The keys that no model knows."""
    for item in details:
        if item["type"] == "extra_forbidden":
            yield _path(item["loc"], tree)


def _path(loc: tuple[int | str, ...], tree: Any) -> KeyPath:
    """An error's location without the tags of unions, which are not in the file."""
    path: KeyPath = ()
    tagged: KeyPath | None = None
    for number, key in enumerate(loc):
        is_last = number == len(loc) - 1
        if key in _tags(path) and tagged != path:
            tagged = path
        elif isinstance(tree, dict) and (key in tree or is_last):
            tree = tree.get(str(key))
            path += (key,)
        elif isinstance(tree, list) and isinstance(key, int) and key < len(tree):
            tree = tree[key]
            path += (key,)
        elif is_last and path[-1:] and path[-1] in BY_TYPE:
            path += (key,)  # a key that one without a table of its own should have
    return path


def _tags(path: KeyPath) -> Sequence[str]:
    """What a location may hold right after `path` without its being a key."""
    return tuple(BY_TYPE.get(str(path[-1]), ())) if path else ()


def _diagnose(
    item: ErrorDetails, path: KeyPath, tree: Tree, origins: Origins, tables: Tables
) -> Diagnostic:
    kind, found = item["type"], bare(item["input"])
    context: dict[str, Any] = item.get("ctx", {})
    value = origins.value_span(path)
    name = ".".join(map(str, path))
    if kind == "VM029":
        named = origins.value_span((*path, "device"), "named here")
        return in_python.diagnostic(context["there"], context["help"], named)
    if kind.startswith("VM"):
        spans = [origins.key_span((*path, key)) for key in context["at"]] or [value]
        primary, *others = spans
        if context["offset"] is not None:
            primary = primary.at_character(str(found), context["offset"])
        help = context["help"] or None
        return Diagnostic(kind, context["message"], primary, tuple(others), help)
    if kind == "extra_forbidden":
        model = tables(tree, path[:-1])
        known = [field.alias or key for key, field in model.model_fields.items()] if model else []
        if not path[:-1]:
            known += ["extends", "vars"]
        elif path[:-1] == ("lpc",):
            known = list(registry.names("lpc"))
        help = did_you_mean(str(path[-1]), known)
        help = _misplaced(path) or help
        return Diagnostic("VM010", f"unknown key `{name}`", origins.key_span(path), help=help)
    if kind == "missing":
        return _missing(path, origins)
    if kind == "union_tag_not_found":
        if isinstance(found, dict):
            tag = "type" if path[-1] in BY_TYPE else "device"
            return _missing((*path, tag), origins)
        kind = "model_type"
    if kind == "union_tag_invalid":
        return _unknown_tag(path, found, origins)
    if kind == "literal_error":
        return _not_allowed(name, found, context, value)
    if kind in _EXPECTED:
        either = {**dict.fromkeys(BY_TYPE, "a string or a table"), "schedule": '"fair" or a table'}
        expected = either.get(str(path[-1]), _EXPECTED[kind])
        message = f"`{name}` is {expected}, not {_name_of(found)}"
        return Diagnostic("VM011", message, value, help=_misplaced(path))
    if kind in _BOUNDS:
        return _out_of_bounds(name, _written(path, tree), kind, context, value)
    return Diagnostic("VM014", f"`{name}`: {item['msg'][:1].lower()}{item['msg'][1:]}", value)


def _written(path: KeyPath, tree: Tree) -> object:
    """What the file has there, before it was parsed."""
    found: Any = tree
    for key in path:
        found = found[key]
    return bare(found)


def _out_of_bounds(
    name: str, found: object, kind: str, context: dict[str, Any], span: Any
) -> Diagnostic:
    word, key = _BOUNDS[kind]
    help = f"{word} {_in_the_unit_of(found, context[key])}"
    return Diagnostic("VM014", f"`{name}` cannot be {_shown(found)}", span, help=help)


def _in_the_unit_of(found: object, bound: int) -> str:
    """A bound as one would write it in place of `found`."""
    if isinstance(found, str):
        for parse, form in (
            (units.parse_duration, units.format_duration),
            (units.parse_size, units.format_size),
        ):
            with suppress(ValueError):
                parse(found)
                return f'"{form(bound)}"'
    return str(bound)


def _misplaced(path: KeyPath) -> str | None:
    """Help for a key of the file that a table has, because it stands below its heading."""
    if len(path) < 2 or path[-1] not in _OF_THE_FILE:
        return None
    return f"`{path[-1]}` stands above the first table"


def _missing(path: KeyPath, origins: Origins) -> Diagnostic:
    if path == ("boot",):
        span = origins.key_span(())
        return Diagnostic("VM030", "the machine has nothing to boot", span, help=BOOT_HELP)
    *table, key = path
    help = None
    if key == "device":
        help = f"one of {', '.join(f'`{name}`' for name in registry.names('slots'))}"
    elif key == "type":
        help = f"one of {', '.join(f'`{name}`' for name in BY_TYPE[str(table[-1])])}"
    elif key == "path" and table[-1] == "backend":
        help = 'write a table, { type = ..., path = "com2.txt" }'
    message = f"`{'.'.join(map(str, table))}` needs `{key}`"
    return Diagnostic("VM013", message, origins.key_span(tuple(table)), help=help)


def _unknown_tag(path: KeyPath, found: Any, origins: Origins) -> Diagnostic:
    if path[-1] in BY_TYPE:
        code, what = ("VM020", "backend") if path[-1] == "backend" else ("VM026", "network")
        inner = origins.value_span((*path, "type"))
        name = str(found["type"] if isinstance(found, dict) else found)
        help = did_you_mean(name, BY_TYPE[str(path[-1])])
        return Diagnostic(code, f'unknown {what} "{name}"', inner, help=help)
    name = found["device"]
    span = origins.value_span((*path, "device"))
    help = did_you_mean(str(name), registry.names("slots"))
    return Diagnostic("VM019", f"unknown device {_shown(name)}", span, help=help)


def _not_allowed(name: str, found: Any, context: dict[str, Any], span: Any) -> Diagnostic:
    choices = [
        part.strip("'") for part in str(context["expected"]).replace(" or ", ", ").split(", ")
    ]
    if isinstance(found, str):
        help = did_you_mean(found, choices)
    else:
        help = f"possible here: {', '.join(f'`{choice}`' for choice in choices)}"
    return Diagnostic("VM014", f"`{name}` cannot be {_shown(found)}", span, help=help)


def _shown(value: object) -> str:
    """A value as TOML has it."""
    if isinstance(value, str):
        return f'"{value}"'
    return str(value).lower() if isinstance(value, bool | int | float) else _name_of(value)


def _name_of(value: object) -> str:
    return next((name for kind, name in _FOUND if isinstance(value, kind)), type(value).__name__)
