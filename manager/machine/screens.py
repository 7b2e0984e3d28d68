# SPDX-License-Identifier: BSD-2-Clause
"""The screen of a machine that is written down."""

from __future__ import annotations

from manager.bus.memory import home
from manager.devices.vga.state import VgaState
from manager.machine.state import TIME_ID, TimeState
from manager.screen.screen import Screen
from manager.snapshot.read import Snapshot

TICKS = 4
"""Of virtual time in a ns."""


def of_snapshot(snapshot: Snapshot) -> Screen | None:
    """What its card shows; None without one. Raises VmmgrError for a state that cannot be read."""
    found = (id for id, type in snapshot.devices.items() if type == VgaState.TYPE)
    id = next(found, None)
    if id is None:
        return None
    state = snapshot.record(id, VgaState)
    slot, _, function = id.removeprefix("slots.").partition(".")
    place = home(int(slot), int(function or 0), 0)
    memory = next(memory for base, memory in snapshot.map_ram() if base == place)
    return Screen(state, memory, snapshot.record(TIME_ID, TimeState).ticks // TICKS)
