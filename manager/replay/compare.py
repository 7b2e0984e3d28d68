# SPDX-License-Identifier: BSD-2-Clause
"""Two machine states side by side: which field, register or page differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from manager.bus.memory import PAGE
from manager.bus.record import Plain, Record, to_plain
from manager.lazy import dataclass
from manager.snapshot.read import Snapshot

SHOWN = 24
"""Differences that are listed; the rest is counted."""
_REGISTERS = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi")
REGISTERS = _REGISTERS + tuple(f"r{number}" for number in range(8, 16))


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs; `one` and `two` are its values."""

    where: str
    one: str
    two: str

    def __str__(self) -> str:
        return f"{self.where}: {self.one} and {self.two}"


def records(one: Mapping[str, Record], two: Mapping[str, Record]) -> list[Difference]:
    """The fields that differ in two sets of live records."""
    return states(
        {id: to_plain(record) for id, record in one.items()},
        {id: to_plain(record) for id, record in two.items()},
    )


def states(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[Difference]:
    """The fields that differ in two sets of states, by device id and then field."""
    found: list[Difference] = []
    for id in dict.fromkeys([*one, *two]):
        found += _fields(id, one.get(id), two.get(id))
    return found


def _fields(where: str, one: Plain, two: Plain) -> Iterator[Difference]:
    if one == two:
        return
    if isinstance(one, dict) and isinstance(two, dict):
        for name in dict.fromkeys([*one, *two]):
            yield from _fields(f"{where}.{name}", one.get(name), two.get(name))
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for number, (left, right) in enumerate(zip(one, two, strict=True)):
            name = f"{where}[{number}]"
            if where == "cpu.gpr":
                name = f"cpu.{REGISTERS[number]}"
            yield from _fields(name, left, right)
    elif isinstance(one, bytes) and isinstance(two, bytes) and len(one) == len(two):
        at = next(n for n in range(len(one)) if one[n] != two[n])
        yield Difference(f"{where}, byte {at}", f"{one[at]:#04x}", f"{two[at]:#04x}")
    else:
        yield Difference(where, _shown(one), _shown(two))


def _shown(value: Plain) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, bytes)):
        return "nothing" if value is None else repr(value)
    return f"{value:#x}" if isinstance(value, int) else value.hex(" ")[:60]


def ram(one: Snapshot, two: Snapshot) -> list[Difference]:
    """The pages of RAM that differ, each with its first byte that does."""
    found: list[Difference] = []
    for (base, left), (_, right) in zip(one.map_ram(), two.map_ram(), strict=True):
        window = 256 * PAGE
        for start in range(0, len(left), window):
            if left[start : start + window] == right[start : start + window]:
                continue
            for at in range(start, min(start + window, len(left)), PAGE):
                a, b = left[at : at + PAGE], right[at : at + PAGE]
                if a != b:
                    byte = next(n for n in range(PAGE) if a[n] != b[n])
                    where = f"RAM page {base + at:#x}, byte {byte:#x}"
                    found.append(Difference(where, f"{a[byte]:#04x}", f"{b[byte]:#04x}"))
    return found


def snapshots(one: Snapshot, two: Snapshot) -> list[Difference]:
    """All that differs between two snapshots of one machine."""
    left = {id: state.fields for id, state in one.states.items()}
    right = {id: state.fields for id, state in two.states.items()}
    return states(left, right) + ram(one, two)


def listed(found: list[Difference]) -> list[str]:
    """For people: the first of them, and how many more."""
    lines = [str(difference) for difference in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"... and {len(found) - SHOWN} more")
    return lines
