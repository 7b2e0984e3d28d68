# SPDX-License-Identifier: BSD-2-Clause
"""Versioned state records: what a device is, in named fields.

A record is a slotted dataclass whose fields carry their range, unit and meaning. A live device
mutates its record in place; a snapshot stores `to_plain(record)`, a tree of ints, bools, bytes,
strings, lists and dicts; a restore is `from_plain`, which upgrades old versions one at a time,
then checks every field. Nothing here knows how a snapshot is laid out on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, field, fields
from typing import Any, ClassVar, TypeAlias, TypeVar

from manager.bus.copies import META as _META
from manager.bus.copies import clone as clone  # noqa: PLC0414  for those who import it here
from manager.lazy import dataclass

Plain: TypeAlias = "int | bool | bytes | str | list[Plain] | dict[str, Plain] | None"

NEVER = (1 << 63) - 1
"""A virtual time (ns) that is never reached: a disarmed deadline."""


class RecordError(ValueError):
    """A stored record does not fit its schema; the text names the field and what was expected."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What one field may hold: `kind` is int, bool, bytes, str, list or record."""

    kind: str
    doc: str
    unit: str = ""
    low: int = 0
    high: int = 0
    """Bounds of an int; bounds of the length for bytes, str and list."""
    item: type[Record] | None = None
    names: str = ""
    """What the bits of an int are called, from bit 0 on: `-` for one without a name, `~` for one
    that is always set."""


def _spec(spec: Spec, **kwargs: Any) -> Any:
    return field(metadata={_META: spec}, **kwargs)


def uint(bits: int, doc: str, default: int = 0, *, unit: str = "", names: str = "") -> Any:
    """An unsigned integer of `bits` bits; for `names` see Spec."""
    spec = Spec("int", doc, unit, 0, (1 << bits) - 1, names=names)
    return _spec(spec, default=default)


def integer(low: int, high: int, doc: str, default: int = 0, *, unit: str = "") -> Any:
    """An integer in [low, high]."""
    return _spec(Spec("int", doc, unit, low, high), default=default)


def flag(doc: str, default: bool = False) -> Any:
    """A boolean."""
    return _spec(Spec("bool", doc), default=default)


def moment(doc: str, default: int = 0) -> Any:
    """A point in virtual time, in ns; NEVER when it does not come."""
    return _spec(Spec("int", doc, "ns", 0, NEVER), default=default)


def octets(low: int, high: int, doc: str, default: bytes = b"") -> Any:
    """A byte string of `low` to `high` bytes (a bytearray in a live device)."""
    return _spec(Spec("bytes", doc, "", low, high), default_factory=lambda: bytearray(default))


def text(high: int, doc: str, default: str = "") -> Any:
    """A string of at most `high` characters."""
    return _spec(Spec("str", doc, "", 0, high), default=default)


def ints(count: int, bits: int, doc: str, default: int = 0, *, unit: str = "") -> Any:
    """A list of exactly `count` unsigned integers of `bits` bits."""
    spec = Spec("ints", doc, unit, count, (1 << bits) - 1)
    return _spec(spec, default_factory=lambda: [default] * count)


def nested(kind: type[Record], doc: str) -> Any:
    """One record inside another."""
    return _spec(Spec("record", doc, item=kind), default_factory=kind)


def several(kind: type[Record], count: int, doc: str) -> Any:
    """Exactly `count` records of one kind."""
    return _spec(
        Spec("list", doc, "", count, count, kind),
        default_factory=lambda: [kind() for _ in range(count)],
    )


@dataclass(slots=True)
class Record:
    """Base of all state records. A default-built record is the state after power-on."""

    TYPE: ClassVar[str] = ""
    VERSION: ClassVar[int] = 1
    MIN_READABLE: ClassVar[int] = 1
    UPGRADES: ClassVar[Mapping[int, Callable[[dict[str, Plain]], dict[str, Plain]]]] = {}
    """`UPGRADES[n]` turns the plain form of version n into that of version n + 1."""

    def contradiction(self) -> str:
        """What no device would write although each field is in its range; empty if nothing is.

        Asked of every record that is read, so that what is restored can run.
        """
        return ""


R = TypeVar("R", bound=Record)


def spec_of(item: Field[Any]) -> Spec:
    """The Spec of a dataclass field of a record."""
    spec: Spec = item.metadata[_META]
    return spec


def parts(kind: type[Record]) -> Iterator[type[Record]]:
    """A record type and those of the records in it."""
    yield kind
    for item in fields(kind):
        inner = spec_of(item).item
        if inner is not None:
            yield from parts(inner)


def unfit(kind: type) -> str:
    """Why a class cannot be a record type; empty if it can."""
    if not issubclass(kind, Record):
        return f"{kind.__name__} is no Record"
    if "__dataclass_fields__" not in vars(kind):
        return f"{kind.__name__} has no @dataclass(slots=True) above it"
    if not kind.TYPE:
        return f"{kind.__name__} has no TYPE"
    for item in fields(kind):
        if _META not in item.metadata:
            return f"{kind.__name__}.{item.name} does not say what it may hold: uint(), flag(), ..."
        inner = spec_of(item).item
        if inner is not None and (wrong := unfit(inner)):
            return wrong
    return ""


def to_plain(record: Record) -> dict[str, Plain]:
    """The named-field form of a record, of plain values only."""
    return {item.name: _plain(getattr(record, item.name)) for item in fields(record)}


def _plain(value: Any) -> Plain:
    if isinstance(value, Record):
        return to_plain(value)
    if isinstance(value, (bytearray, bytes)):
        return bytes(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    result: Plain = value
    return result


def from_plain(kind: type[R], plain: Plain, version: int, where: str) -> R:
    """Build a record from its stored form, upgrading from `version` if need be.

    Raises RecordError, naming `where` and the field, for a version outside
    [MIN_READABLE, VERSION], a missing or unknown field, a wrong type or a value out of range, or
    fields that contradict each other.
    """
    if version > kind.VERSION:
        raise RecordError(
            f"{where}: {kind.TYPE} state has version {version}, newer than {kind.VERSION}, "
            "the newest this vmmgr reads"
        )
    if version < kind.MIN_READABLE:
        raise RecordError(
            f"{where}: {kind.TYPE} state has version {version}, older than {kind.MIN_READABLE}, "
            "the oldest this vmmgr reads"
        )
    for old in range(version, kind.VERSION):
        if not isinstance(plain, dict):
            break
        plain = kind.UPGRADES[old](dict(plain))
    return _build(kind, plain, where)


def _build(kind: type[R], plain: Plain, where: str) -> R:
    if not isinstance(plain, dict):
        raise RecordError(f"{where}: expected named fields, found {type(plain).__name__}")
    known = {item.name: spec_of(item) for item in fields(kind)}
    if missing := known.keys() - plain.keys():
        raise RecordError(f"{where}: field {min(missing)} is missing")
    if extra := plain.keys() - known.keys():
        raise RecordError(f"{where}: field {min(extra)} is unknown")
    record = kind()
    for name, spec in known.items():
        setattr(record, name, _check(spec, plain[name], f"{where}.{name}"))
    if fault := record.contradiction():
        raise RecordError(f"{where}: {fault}")
    return record


def _check(spec: Spec, value: Plain, where: str) -> Any:
    if spec.kind == "int":
        if type(value) is not int:
            raise RecordError(f"{where}: expected an integer, found {type(value).__name__}")
        if not spec.low <= value <= spec.high:
            raise RecordError(f"{where}: {value} is outside {spec.low}..{spec.high}")
        return value
    if spec.kind == "bool":
        if type(value) is not bool:
            raise RecordError(f"{where}: expected true or false, found {type(value).__name__}")
        return value
    if spec.kind == "record":
        assert spec.item is not None
        return _build(spec.item, value, where)
    if spec.kind in ("list", "ints"):
        if not isinstance(value, list) or len(value) != spec.low:
            raise RecordError(f"{where}: expected a list of {spec.low}")
        if spec.item is not None:
            kind = spec.item
            return [_build(kind, item, f"{where}[{n}]") for n, item in enumerate(value)]
        element = Spec("int", spec.doc, spec.unit, 0, spec.high)
        return [_check(element, item, f"{where}[{n}]") for n, item in enumerate(value)]
    expected = bytes if spec.kind == "bytes" else str
    if not isinstance(value, expected):
        raise RecordError(f"{where}: expected {expected.__name__}, found {type(value).__name__}")
    if not spec.low <= len(value) <= spec.high:
        raise RecordError(f"{where}: length {len(value)} is outside {spec.low}..{spec.high}")
    return bytearray(value) if isinstance(value, bytes) else value


def named_bits(names: str, value: int) -> str:
    """The bits that are set, by their `names`: see Spec.

    >>> named_bits("RX THRE LINE MODEM", 3), named_bits("TMR - - - BM", 0x22)
    ('RX|THRE', 'bit1|bit5')
    """
    known = names.split()
    found = []
    for n in range(value.bit_length()):
        name = known[n] if n < len(known) else "-"
        if value >> n & 1 and name != "~":
            found.append(f"bit{n}" if name == "-" else name)
    return "|".join(found) or "0"


def names_of(kind: type[Record], name: str) -> str:
    """What the bits of a field of a record are called: see Spec."""
    return next(spec_of(item).names for item in fields(kind) if item.name == name)


def describe(kind: type[Record]) -> dict[str, Plain]:
    """The schema of a record type as plain values, for the schema dump kept in version control."""
    described: dict[str, Plain] = {}
    for item in fields(kind):
        spec = spec_of(item)
        entry: dict[str, Plain] = {"kind": spec.kind, "doc": spec.doc}
        if spec.unit:
            entry["unit"] = spec.unit
        if spec.kind != "bool":
            entry["low"], entry["high"] = spec.low, spec.high
        if spec.names:
            entry["names"] = spec.names
        if spec.item is not None:
            entry["item"] = describe(spec.item)
        described[item.name] = entry
    return {"type": kind.TYPE, "version": kind.VERSION, "fields": described}
