# SPDX-License-Identifier: BSD-2-Clause
"""A graph as plain values and back, without loss: how a snapshot keeps its configuration.

The form follows the node types: a dataclass is its named fields, a path is a string, and the
three ways to boot are told apart by the name of their first field.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from manager.graph.nodes import Graph

if TYPE_CHECKING:
    from manager.bus.record import Plain


class GraphFormatError(ValueError):
    """Plain values that are no graph; the text names the field and what was expected."""


def to_plain(graph: Graph) -> dict[str, Plain]:
    """All of a graph, host-side wiring included."""
    return {item.name: plain_value(getattr(graph, item.name)) for item in fields(graph)}


def plain_value(value: Any) -> Plain:
    """One part of a graph."""
    if is_dataclass(value):
        return {item.name: plain_value(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, (tuple, list)):
        return [plain_value(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain_value(item) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    result: Plain = value
    return result


def from_plain(plain: object) -> Graph:
    """The graph that `to_plain` was given. Raises GraphFormatError."""
    graph = _build(Graph, plain, "graph")
    assert isinstance(graph, Graph)
    return graph


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _build(kind: Any, plain: Any, where: str) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind, plain, where)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _union(arguments, plain, where)
    if origin is Literal:
        if any(plain == item and type(plain) is type(item) for item in arguments):
            return plain
        raise GraphFormatError(f"{where}: {plain!r} is not one of {arguments}")
    if origin is tuple:
        if not isinstance(plain, (list, tuple)):
            raise GraphFormatError(f"{where}: expected a list, found {type(plain).__name__}")
        return tuple(_build(arguments[0], item, f"{where}[{n}]") for n, item in enumerate(plain))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(plain, dict) or not all(isinstance(key, str) for key in plain):
            raise GraphFormatError(f"{where}: expected named values")
        return {key: _build(arguments[1], item, f"{where}.{key}") for key, item in plain.items()}
    if kind is Path and isinstance(plain, str):
        return Path(plain)
    if type(plain) is not kind:
        name = kind.__name__
        raise GraphFormatError(f"{where}: expected {name}, found {type(plain).__name__}")
    return plain


def _dataclass(kind: type, plain: Any, where: str) -> Any:
    if not isinstance(plain, dict):
        raise GraphFormatError(f"{where}: expected named fields, found {type(plain).__name__}")
    hints = _hints(kind)
    wrong = (plain.keys() - hints.keys()) | (_required(kind) - plain.keys())
    if wrong:
        name = min(map(str, wrong))
        what = "missing" if name in hints else "unknown"
        raise GraphFormatError(f"{where}: field {name} is {what}")
    return kind(**{name: _build(hints[name], plain[name], f"{where}.{name}") for name in plain})


@cache
def _required(kind: type) -> frozenset[str]:
    """The fields without a default; others may be newer than what is being read."""
    return frozenset(
        item.name
        for item in fields(kind)
        if item.default is MISSING and item.default_factory is MISSING
    )


def _union(kinds: tuple[Any, ...], plain: Any, where: str) -> Any:
    if plain is None and type(None) in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    if len(kinds) == 1:
        return _build(kinds[0], plain, where)
    for kind in kinds:
        named = is_dataclass(kind) and isinstance(plain, dict) and fields(kind)[0].name in plain
        if named or type(plain) is kind:
            return _build(kind, plain, where)
    raise GraphFormatError(f"{where}: none of the things that can stand here")
