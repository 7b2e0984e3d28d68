# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr snapshot diff`: what differs of devices, registers by name, RAM, disks and their files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from manager.bus.record import Plain
from manager.cli.output import print_json, size
from manager.cli.snapshot.words import GPR, amount, bits, described
from manager.errors import HostError, SnapshotMismatchError, UsageError, VmmgrError
from manager.lazy import dataclass
from manager.text.shown import shown

if TYPE_CHECKING:
    from manager.snapshot.read import Snapshot
    from manager.storage.filesystems.changes import Changes

_SHOWN_RANGES = 40
_SHOWN_FILES = 100

_Ranges = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """In what two snapshots of machines differ."""

    machine: list[str]
    fields: list[tuple[str, str, str, str]]
    """Device, field, value in one, value in the other."""
    pages: _Ranges
    """(base, length) of RAM."""
    disks: list[tuple[str, _Ranges, list[Changes]]]
    unread: list[tuple[str, VmmgrError]]
    """Disks that cannot be compared, and why."""

    @property
    def equal(self) -> bool:
        """Whether all was compared, and nothing differs."""
        return not any((self.machine, self.fields, self.pages, self.disks, self.unread))

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "equal": self.equal,
            "machine": self.machine,
            "state": [
                {"device": device, "field": field, "one": before, "other": after}
                for device, field, before, after in self.fields
            ],
            "ram": [{"base": base, "length": length} for base, length in self.pages],
            "disks": [
                {
                    "disk": name,
                    "ranges": [{"offset": at, "length": length} for at, length in ranges],
                    "files": [_plain(changes) for changes in files],
                }
                for name, ranges, files in self.disks
            ],
            "not_compared": [
                {"disk": name, "problem": error.message, "help": error.help}
                for name, error in self.unread
            ],
        }


def compare(one: Snapshot, other: Snapshot) -> Comparison:
    """All differences of two snapshots. Raises SnapshotCorruptError."""
    from manager.snapshot.compare import ram_differences

    machine = machine_differences(one, other)
    fields = list(state_differences(one, other))
    pages = ram_differences(one, other)
    return Comparison(machine, fields, pages, *_disks(one, other))


def diff(args: argparse.Namespace) -> int:
    """Carry out `snapshot diff`. Raises VmmgrError."""
    from manager.cli.snapshot.refs import find_snapshot
    from manager.snapshot.read import open_snapshot

    found = compare(*(open_snapshot(find_snapshot(name)) for name in (args.one, args.other)))
    if args.json:
        print_json(found.as_json())
        return 0
    print_comparison(found)
    if found.equal:
        print("equal")
    return 0


def print_comparison(found: Comparison, where: str = "") -> None:
    """The differences for people, each line with `where` before it."""
    from manager.bus.memory import PAGE

    for line in found.machine:
        print(shown(f"{where}machine: {line}"))
    for device, field, before, after in found.fields:
        print(shown(f"{where}{device}{'.' if field else ''}{field}: {before} -> {after}"))
    for base, length in found.pages[:_SHOWN_RANGES]:
        print(f"{where}RAM {base:#x}-{base + length - 1:#x}: {_pages(length // PAGE)}")
    if (more := len(found.pages) - _SHOWN_RANGES) > 0:
        rest = sum(length for _, length in found.pages[_SHOWN_RANGES:]) // PAGE
        print(f"{where}RAM: {_pages(rest)} more in {more} ranges; --json has all")
    for name, ranges, files in found.disks:
        _print_disk(f"{where}disk {name}", ranges)
        for changes in files:
            _print_files(f"{where}disk {name}", changes)
    for name, error in found.unread:
        print(shown(f"{where}disk {name} is not compared: {error.message}"))


VERBS = {"diff": diff}


def _disks(
    one: Snapshot, other: Snapshot
) -> tuple[list[tuple[str, _Ranges, list[Changes]]], list[tuple[str, VmmgrError]]]:
    """(name, (offset, length) of what differs, files) of each disk that does; one alone: all of it.

    And (name, why) of each that cannot be read, as its image is not part of a snapshot.
    """
    from manager.cli.graphs import of_snapshot
    from manager.machine.disks import disk_of
    from manager.snapshot.compare import disk_differences
    from manager.storage.filesystems.changes import changed_files

    found: list[tuple[str, _Ranges, list[Changes]]] = []
    unread: list[tuple[str, VmmgrError]] = []
    sides = [{disk.head.id: disk for disk in side.manifest.disks} for side in (one, other)]
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        before, after = (side.get(name) for side in sides)
        if before is None or after is None:
            whole = max(disk.head.size for disk in (before, after) if disk)
            found.append((name, [(0, whole)], []))
        elif before.to_plain() != after.to_plain():
            try:
                with (
                    closing(disk_of(of_snapshot(one), one, name)) as earlier,
                    closing(disk_of(of_snapshot(other), other, name)) as later,
                ):
                    if ranges := disk_differences(earlier, later):
                        found.append((name, ranges, changed_files(earlier, later, ranges)))
            except (HostError, UsageError, SnapshotMismatchError) as error:
                unread.append((name, error))
    return found, unread


def _print_disk(disk: str, ranges: list[tuple[int, int]]) -> None:
    from manager.storage.base import SECTOR

    for offset, length in ranges[:_SHOWN_RANGES]:
        first, count = offset // SECTOR, length // SECTOR
        print(shown(f"{disk} sectors {first}-{first + count - 1}: {size(length)}"))
    if len(ranges) > _SHOWN_RANGES:
        rest = sum(length for _, length in ranges[_SHOWN_RANGES:])
        more = len(ranges) - _SHOWN_RANGES
        print(shown(f"{disk}: {size(rest)} more in {more} ranges; --json has all"))


def _print_files(disk: str, changes: Changes) -> None:
    where = disk + (f" partition {changes.partition}" if changes.partition else "")
    for kind, path in changes.files[:_SHOWN_FILES]:
        print(shown(f"{where}: {kind} /{path}"))
    if (rest := len(changes.files) - _SHOWN_FILES) > 0:
        print(shown(f"{where}: {rest} more files; --json has all"))
    if changes.problem:
        remedy = f"; {changes.help}" if changes.help else ""
        print(shown(f"{where}: files are not compared: {changes.problem}{remedy}"))


def _plain(changes: Changes) -> dict[str, Any]:
    return {
        "partition": changes.partition,
        "format": changes.format,
        "changes": [{"change": kind, "path": f"/{path}"} for kind, path in changes.files],
        "problem": changes.problem or None,
        "help": changes.help,
    }


def _pages(count: int) -> str:
    return f"{count} page{'' if count == 1 else 's'}"


def machine_differences(one: Snapshot, other: Snapshot) -> list[str]:
    """Lines about what the guest can see of the machine and that differs."""
    from manager.graph.differences import differences

    before, after = one.manifest.identity, other.manifest.identity
    if before == after:
        return []
    if not isinstance(before, dict) or not isinstance(after, dict):
        return ["it is another one"]
    try:
        return [found.render("A", "B") for found in differences(before, after)]
    except (AttributeError, KeyError, TypeError, ValueError):
        return ["it is another one"]


def state_differences(one: Snapshot, other: Snapshot) -> Iterator[tuple[str, str, str, str]]:
    """(device, field, value in one, value in other) of all that differs, but for RAM."""
    for key in ("machine", "virtual_time", "executed", "identity_hash", "full_hash", "writer"):
        before, after = (getattr(side.header, key) for side in (one, other))
        if before != after:
            yield "header", key, str(before), str(after)
    schemas = described(one)
    for device in dict.fromkeys([*one.states, *other.states]):
        before_state, after_state = one.states.get(device), other.states.get(device)
        if before_state is None or after_state is None:
            texts = [
                f"{state.chunk.type}" if state else "none" for state in (before_state, after_state)
            ]
            yield device, "", texts[0], texts[1]
        elif before_state.chunk.type != after_state.chunk.type:
            yield device, "", before_state.chunk.type, after_state.chunk.type
        else:
            kind = before_state.chunk.type
            schema = schemas(kind)
            for name, before_text, after_text in _differences(
                kind, schema, before_state.fields, after_state.fields, ""
            ):
                yield device, name, before_text, after_text


def _differences(
    kind: str, schema: Any, before: Plain, after: Plain, name: str
) -> Iterator[tuple[str, str, str]]:
    if before == after and type(before) is type(after):
        return
    described = schema.get("fields", {}) if isinstance(schema, dict) else {}
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            entry = described.get(key, {}) if isinstance(described, dict) else {}
            inner = entry.get("item") if isinstance(entry, dict) else None
            old, new = before.get(key), after.get(key)
            where = f"{name}.{key}" if name else key
            if isinstance(old, (dict, list)) and type(old) is type(new):
                inner_kind = str(inner.get("type", "")) if isinstance(inner, dict) else kind
                yield from _differences(inner_kind, inner or entry, old, new, where)
            elif old != new:
                told = entry if isinstance(entry, dict) else {}
                yield where, _text(told, old), _text(told, new)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            register = kind == "cpu.x86" and name == "gpr"
            where = GPR[index].lower() if register else f"{name}[{index}]"
            if isinstance(old, dict):
                yield from _differences(kind, schema, old, new, where)
            elif old != new:
                yield where, amount(old), amount(new)
    else:
        yield name, amount(before), amount(after)


def _text(entry: dict[str, Any], value: Plain) -> str:
    names, unit = bits(entry.get("names"), value), str(entry.get("unit", ""))
    return f"{amount(value, unit)} {names}" if names else amount(value, unit)
