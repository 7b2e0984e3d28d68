# SPDX-License-Identifier: BSD-2-Clause
"""Which of a local APIC's vectors is next: requests, vectors in service, and priorities.

A vector's class is its high four bits; a request gets through when its class is above that of the
task and of everything in service. Source: Intel SDM volume 3, "Interrupt, Task, and Processor
Priority".
"""

from __future__ import annotations

from manager.devices.lapic.registers import SVR_ENABLE, LapicState

NOTHING = 0
"""No vector: those below 16 are never requested."""


def highest(bitmap: bytearray) -> int:
    """The highest vector in a map, or NOTHING."""
    return max(int.from_bytes(bitmap, "little").bit_length() - 1, NOTHING)


def processor_priority(state: LapicState) -> int:
    """PPR: task priority, or the class in service if that is higher."""
    served = highest(state.isr) & 0xF0
    return state.tpr if state.tpr >= served else served


def deliverable(state: LapicState) -> int:
    """The requested vector that the CPU may have now, or NOTHING."""
    if not (state.enabled and state.svr & SVR_ENABLE):
        return NOTHING
    vector = highest(state.irr)
    if vector and vector >> 4 > processor_priority(state) >> 4:
        return vector
    return NOTHING


def request(state: LapicState, vector: int, level: bool) -> None:
    """Note a request and how it was triggered."""
    byte, bit = vector >> 3, 1 << (vector & 7)
    state.irr[byte] |= bit
    if level:
        state.tmr[byte] |= bit
    else:
        state.tmr[byte] &= ~bit


def take(state: LapicState, vector: int) -> None:
    """A request goes into service."""
    byte, bit = vector >> 3, 1 << (vector & 7)
    state.irr[byte] &= ~bit
    state.isr[byte] |= bit


def finish(state: LapicState) -> int:
    """End the service of the highest vector. Returns it if it was level triggered, or NOTHING."""
    vector = highest(state.isr)
    byte, bit = vector >> 3, 1 << (vector & 7)
    state.isr[byte] &= ~bit
    return vector if state.tmr[byte] & bit else NOTHING
