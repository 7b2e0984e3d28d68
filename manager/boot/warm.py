# SPDX-License-Identifier: BSD-2-Clause
"""What a BIOS does after a reset of the CPU alone: go on where CMOS 0Fh and 40h:67h say.

Programs of the 80286's time leave protected mode by it, and the code of a second CPU is entered by
it. Sources: IBM Personal Computer AT Technical Reference, BIOS listing (shutdown codes); SeaBIOS,
which does the same with codes 05h, 0Ah, 0Bh and 0Ch.
"""

from __future__ import annotations

import struct

from manager.bus.memory import AddressError, Memory
from manager.cpu.state import CpuState, Segment

JUMP_WITH_EOI, JUMP, INTERRUPT_RETURN, FAR_RETURN = 0x05, 0x0A, 0x0B, 0x0C
VECTOR = 0x467
"""A far pointer in the BIOS data area: to code, or to a stack that has one."""
RETURN_FRAME = {INTERRUPT_RETURN: "<HHH", FAR_RETURN: "<HH"}
SP, REAL_MODE_CODE = 4, 0x9B00


def resume(code: int, memory: Memory) -> CpuState | None:
    """Where the CPU goes on with that shutdown code; None for one that means a new start."""
    try:
        offset, segment = struct.unpack("<HH", memory.read(VECTOR, 4))
        state = CpuState.at_reset()
        if code in (JUMP_WITH_EOI, JUMP):
            _enter(state, segment, offset)
            return state
        if code not in RETURN_FRAME:
            return None
        frame = RETURN_FRAME[code]
        size = struct.calcsize(frame)
        ip, cs, *flags = struct.unpack(frame, memory.read((segment << 4) + offset, size))
    except AddressError:
        return None
    _enter(state, cs, ip)
    state.ss = Segment(segment, segment << 4, 0xFFFF, state.ss.attributes)
    state.gpr[SP] = offset + size & 0xFFFF
    state.rflags |= sum(flags)
    return state


def _enter(state: CpuState, segment: int, offset: int) -> None:
    state.cs = Segment(segment, segment << 4, 0xFFFF, REAL_MODE_CODE)
    state.rip = offset
