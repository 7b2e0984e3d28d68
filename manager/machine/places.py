# SPDX-License-Identifier: BSD-2-Clause
"""Where the CPUs of a machine are, and what they do there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Literal

from manager.cpu.engine import PcEngine
from manager.cpu.state import CpuState
from manager.lazy import dataclass
from manager.machine.state import CPU_PREFIX, TURN_ID, CpuTurnState
from manager.snapshot.read import Snapshot

Doing = Literal["runs", "halted", "waits for a start-up message"]


@dataclass(frozen=True, slots=True)
class CpuPlace:
    """Where a CPU is."""

    cpu: int
    """Its number, from 0, which is its APIC id too."""
    address: int
    """Linear, of its next instruction."""
    doing: Doing


def of_engine(engine: PcEngine) -> list[CpuPlace]:
    """Each CPU now. Only between blocks."""
    return [
        _place(number, cpu.read_state(), waiting=cpu.waiting)
        for number, cpu in enumerate(engine.cpus)
    ]


def of_snapshot(snapshot: Snapshot) -> list[CpuPlace]:
    """Each CPU as it was saved. Raises VmmgrError for a state that cannot be read."""
    places: list[CpuPlace] = []
    for number in count():
        if (id := f"{CPU_PREFIX}{number}") not in snapshot.states:
            return places
        turn = f"{TURN_ID}.{number}"  # a single CPU has none
        waiting = turn in snapshot.states and snapshot.record(turn, CpuTurnState).waiting
        places.append(_place(number, snapshot.record(id, CpuState), waiting=waiting))
    raise AssertionError


def rows(places: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """For people: what a CPU is called, and a CpuPlace as a dictionary in words."""
    found = []
    for place in places:
        name = f"cpu {place['cpu']}" if len(places) > 1 else "cpu"
        where = f" at {place['address']:#x}" if place["doing"] in ("runs", "halted") else ""
        found.append((name, f"{place['doing']}{where}"))
    return found


def _place(number: int, state: CpuState, *, waiting: bool) -> CpuPlace:
    doing: Doing = "halted" if state.halted else "runs"
    address = (state.cs.base + state.rip) & (1 << 64) - 1
    return CpuPlace(number, address, "waits for a start-up message" if waiting else doing)
