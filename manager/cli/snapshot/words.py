# SPDX-License-Identifier: BSD-2-Clause
"""State in the words of the datasheets: names of register bits, and a line about a device.

Works on the named fields that are in a snapshot, and passes over what it does not know: a snapshot
of a newer or older version is shown as far as it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from manager.bus.record import NEVER, Plain, Record, named_bits, spec_of
from manager.devices import registry
from manager.errors import SnapshotCorruptError, SnapshotMismatchError

if TYPE_CHECKING:
    from manager.snapshot.read import Snapshot

Fields = Mapping[str, Any]

GPR = ("RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", *(f"R{n}" for n in range(8, 16)))
_SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs", "ldtr", "tr")


def bits(names: object, value: Plain) -> str:
    """The bits that are set, by `names`; an empty string where bits have no names."""
    if not names or isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return ""
    return named_bits(str(names), value)


def described(opened: Snapshot) -> Callable[[str], dict[str, Any]]:
    """Takes a record type to its description in the snapshot.

    Snapshots of 0.1 do not say what bits are called: this version's records then do.
    """
    types = {state.chunk.type for state in opened.states.values()}
    if any(_names_bits(opened.schema(type)) for type in types):
        return opened.schema
    present = _present()
    return lambda type: _with_names(opened.schema(type), present)


def _names_bits(schema: Mapping[str, Any]) -> bool:
    entries = _entries(schema).values()
    return any("names" in entry or _names_bits(entry.get("item", {})) for entry in entries)


def _with_names(schema: Mapping[str, Any], present: Mapping[str, type[Record]]) -> dict[str, Any]:
    kind = present.get(str(schema.get("type")))
    names = {item.name: spec_of(item).names for item in fields(kind)} if kind is not None else {}
    entries = {}
    for name, entry in _entries(schema).items():
        entries[name] = {**entry, "names": names.get(name, "")}
        if isinstance(entry.get("item"), dict):
            entries[name]["item"] = _with_names(entry["item"], present)
    return {**schema, "fields": entries}


def _entries(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found = schema.get("fields")
    items = found.items() if isinstance(found, dict) else ()
    return {name: entry for name, entry in items if isinstance(entry, dict)}


def _present() -> dict[str, type[Record]]:
    """The record types of this version."""
    from manager.cpu.state import CpuState

    registry.import_all()
    kinds: list[type[Record]] = [CpuState, *Record.__subclasses__()]
    return {kind.TYPE: kind for kind in kinds}


def amount(value: Plain, unit: str = "") -> str:
    """A plain value for people."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int):
        if unit == "ns" and value == NEVER:
            return "never"
        return f"{value} {unit}" if unit else f"{value:#x}"
    if isinstance(value, bytes):
        more = f"... ({len(value)} bytes)" if len(value) > 32 else ""
        return (value[:32].hex(" ") or "empty") + more
    if isinstance(value, list):
        more = f", ... ({len(value)})" if len(value) > 16 else ""
        return "[" + ", ".join(amount(item, unit) for item in value[:16]) + more + "]"
    return repr(value)


def about(kind: str, type: str, state: Fields) -> str:
    """One line on the state of a device of a kind, or on a record of that type; or nothing.

    Whatever is wrong with the state, or with a kind that is not ours, the rest is shown.
    """
    try:
        if type in _ABOUT:
            return _ABOUT[type](state)
        return registry.find(kind).about(state)
    except Exception:
        return ""


def _cpu(fields: Fields) -> str:
    mode = "real mode"
    if fields["efer"] >> 10 & 1:
        mode = "64-bit mode" if fields["cs"]["attributes"] >> 21 & 1 else "compatibility mode"
    elif fields["cr0"] & 1:
        mode = "protected mode"
    level = fields["cs"]["selector"] & 3
    where = f"{fields['cs']['selector']:04x}:{fields['rip']:x}"
    return f"{mode}, ring {level}, at {where}{', halted' if fields['halted'] else ''}"


def _serial(fields: Fields) -> str:
    count = len(fields["pending"])
    return f"{count} bytes of input on their way" if count else "no input on its way"


_ABOUT: dict[str, Callable[[Fields], str]] = {"cpu.x86": _cpu, "serial-port": _serial}
"""Of what is no device."""


def cpus(opened: Snapshot) -> list[dict[str, Any]]:
    """Where each CPU is, CpuPlaces as dictionaries; none if a state cannot be read."""
    from manager.machine.places import of_snapshot

    try:
        return [asdict(place) for place in of_snapshot(opened)]
    except (SnapshotCorruptError, SnapshotMismatchError):
        return []


def registers(fields: Fields, schema: Mapping[str, Any]) -> Iterator[str]:
    """The registers of an x86 CPU, several to a line."""
    try:
        values = [*zip(GPR, fields["gpr"], strict=True), ("RIP", fields["rip"])]
        for start in range(0, len(values), 4):
            row = values[start : start + 4]
            yield "  ".join(f"{name:>3}={value:016x}" for name, value in row)
        for name in ("rflags", "cr0", "cr4", "efer"):
            value = fields[name]
            names = _entries(schema).get(name, {}).get("names")
            yield f"{name.upper()}={value:#x} {bits(names, value)}"
        yield f"CR2={fields['cr2']:#x}  CR3={fields['cr3']:#x}"
        for name in _SEGMENTS:
            one = fields[name]
            yield (
                f"{name.upper()}={one['selector']:04x} base={one['base']:#x} "
                f"limit={one['limit']:#x} attributes={one['attributes']:#x}"
            )
        for name in ("gdtr", "idtr"):
            yield f"{name.upper()} base={fields[name]['base']:#x} limit={fields[name]['limit']:#x}"
    except (KeyError, TypeError, ValueError):
        return
