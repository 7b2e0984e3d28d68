# SPDX-License-Identifier: BSD-2-Clause
"""A graph as plain values and back, without loss: how a snapshot keeps its configuration.

The form follows the node types: a dataclass is its named fields, a path is a string, and the three
ways to boot are recognised by the name of their first field. A device has the name of its
kind, and the facts that are the kind's own are its `properties`.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from manager.devices import host, own, registry
from manager.devices.node import DeviceNode, facts_of
from manager.graph.nodes import NEWER, Graph, Sandbox

if TYPE_CHECKING:
    from manager.bus.record import Plain


class GraphFormatError(ValueError):
    """Plain values that are no graph; the text names the field and what was expected."""


def to_plain(graph: Graph) -> dict[str, Plain]:
    """All of a graph, host-side wiring included."""
    plain = {item.name: plain_value(getattr(graph, item.name)) for item in fields(graph)}
    # What is newer than the form is left out where there is none of it.
    newer = {"disks": graph.disks, "sandbox": graph.sandbox != Sandbox()}
    return {key: item for key, item in plain.items() if newer.get(key, True)}


def plain_value(value: Any) -> Plain:
    """One part of a graph."""
    if isinstance(value, DeviceNode):
        return _device_plain(value)
    if isinstance(value, host.Backend):
        return {"type": value.type, "options": dict(value.options)}
    if is_dataclass(value):
        found = {item: getattr(value, item.name) for item in fields(value)}
        return {
            item.name: plain_value(part)
            for item, part in found.items()
            if item.metadata != NEWER or part != item.default
        }
    if isinstance(value, (tuple, list)):
        return [plain_value(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain_value(item) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    result: Plain = value
    return result


def _device_plain(node: DeviceNode) -> Plain:
    """A device. What is newer than the form is left out where there is none of it."""
    newer: dict[str, Plain] = {}
    if node.memory_bars:
        newer["memory_bars"] = plain_value(node.memory_bars)
    if node.disks:
        newer["disks"] = plain_value(node.disks)
    if node.host_side:
        newer["host"] = plain_value(node.host_side)
    if node.file is not None:
        newer["file"] = str(node.file)
    return {
        "id": node.id,
        "type": node.type,
        "parent": node.parent,
        "ports": plain_value(node.ports),
        "irq": node.irq,
        "pin": node.pin,
        "pirq": node.pirq,
        "address": plain_value(node.address),
        "pci": plain_value(node.pci),
        "bars": plain_value(node.bars),
        "properties": plain_value(node.properties),
        "backend": plain_value(node.backend),
        "memory": plain_value(node.memory),
        **newer,
    }


def from_plain(plain: object) -> Graph:
    """The graph that `to_plain` was given. Raises GraphFormatError."""
    graph = _build(Graph, plain, "graph")
    assert isinstance(graph, Graph)
    return graph


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _build(kind: Any, plain: Any, where: str) -> Any:
    if kind is DeviceNode:
        return _device(plain, where)
    if kind is host.Backend:
        return _backend(plain, where)
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


def _device(plain: Any, where: str) -> DeviceNode:
    claims = dict(_named(plain, where))
    type, file = str(claims.pop("type", None)), claims.pop("file", None)
    properties, host_side = claims.pop("properties", {}), claims.pop("host", {})
    if not isinstance(properties, dict):
        raise GraphFormatError(f"{where}.properties: expected named values")
    base = _dataclass(DeviceNode, claims, where)
    values = {item.name: getattr(base, item.name) for item in fields(DeviceNode)}
    kind = _kind(type, file, properties.get("code", ""))
    if isinstance(kind, str):
        path = Path(file) if isinstance(file, str) else None
        from manager.devices.lost import LostNode

        return LostNode(
            **values, lost_type=type, lost_properties=properties, lost_file=path, why=kind
        )
    values |= _facts(kind, properties, f"{where}.properties")
    hints = get_type_hints(kind) if host_side else {}
    for name, value in _named(host_side, f"{where}.host").items():
        if name not in hints:
            raise GraphFormatError(f"{where}.host: field {name} is unknown")
        values[name] = _build(hints[name], value, f"{where}.host.{name}")
    return kind(**values)


def _kind(type: str, file: object, code: object) -> type[DeviceNode] | str:
    """The kind of a device, or why there is none; `file` is where one of the user's own was."""
    name = type if file is None else f"{file}:{type.rpartition(':')[2]}"
    try:
        kind = registry.find(name)
    except registry.UnknownKindError:
        return f"there is no device of the kind {type}"
    except own.KindError as error:
        return str(error)
    return kind if code == kind.CODE else f"{type} is not what it was when this was stored"


def _facts(kind: type[DeviceNode], properties: dict[str, Any], where: str) -> dict[str, Any]:
    """The facts that are a kind's own."""
    known = facts_of(kind)
    properties = {name: value for name, value in properties.items() if name != "code"}
    for name, value in properties.items():
        if name not in known:
            raise GraphFormatError(f"{where}: field {name} is unknown")
        if not isinstance(value, (int, str)):
            raise GraphFormatError(f"{where}.{name}: expected a number, text or a truth value")
    if missing := (_required(kind) & known) - properties.keys():
        raise GraphFormatError(f"{where}: field {min(missing)} is missing")
    return properties


def _backend(plain: Any, where: str) -> host.Backend:
    named = _named(plain, where)
    try:
        return host.backend(named["type"], named["options"])
    except (LookupError, TypeError, AttributeError):
        raise GraphFormatError(f"{where}: no backend is described like this") from None


def _named(plain: Any, where: str) -> dict[str, Any]:
    if not isinstance(plain, dict):
        raise GraphFormatError(f"{where}: expected named fields, found {type(plain).__name__}")
    return plain


def _dataclass(kind: type, plain: Any, where: str) -> Any:
    plain = _named(plain, where)
    hints = {item.name: _hints(kind)[item.name] for item in fields(kind)}
    wrong = (plain.keys() - hints.keys()) | (_required(kind) - plain.keys())
    if wrong:
        name = min(map(str, wrong))
        what = "missing" if name in hints else "unknown"
        raise GraphFormatError(f"{where}: field {name} is {what}")
    return kind(**{name: _build(hints[name], plain[name], f"{where}.{name}") for name in plain})


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
