# SPDX-License-Identifier: BSD-2-Clause
"""The registers of a local APIC: offsets, bits, and the record that holds them.

Source: Intel SDM volume 3, "Advanced Programmable Interrupt Controller (APIC)".
"""

from __future__ import annotations

from typing import ClassVar

from manager.bus.record import Record, flag, ints, nested, octets, uint
from manager.devices.lapic.timer import LVT_MASKED, LapicTimerState
from manager.lazy import dataclass

BASE = 0xFEE0_0000
LENGTH = 0x1000
VERSION = 0x0005_0014  # integrated APIC, LVT entries 0 to 5

# Registers: the low 32 bits of every 16 bytes
ID_REGISTER = 0x020
VERSION_REGISTER = 0x030
TPR = 0x080
APR = 0x090
PPR = 0x0A0
EOI = 0x0B0
REMOTE_READ = 0x0C0
LDR = 0x0D0
DFR = 0x0E0
SVR = 0x0F0
ISR = 0x100  # eight registers each
TMR = 0x180
IRR = 0x200
ESR = 0x280
ICR_LOW = 0x300
ICR_HIGH = 0x310
LVT_TIMER = 0x320
LVT_OTHERS = range(0x330, 0x380, 0x10)  # thermal, performance, LINT0, LINT1, error
INITIAL_COUNT = 0x380
CURRENT_COUNT = 0x390
DIVIDE = 0x3E0
READ_ONLY = (
    ID_REGISTER, VERSION_REGISTER, APR, PPR, REMOTE_READ, CURRENT_COUNT, *range(ISR, ESR, 0x10),
)  # fmt: skip
READ_AS_ZERO = (APR, EOI, REMOTE_READ)
STEADY = frozenset(
    [
        ID_REGISTER, VERSION_REGISTER, TPR, PPR, LDR, DFR, SVR, *range(ISR, ESR, 0x10), ESR,
        ICR_LOW, ICR_HIGH, LVT_TIMER, *LVT_OTHERS, INITIAL_COUNT, DIVIDE, *READ_AS_ZERO,
    ]
)  # fmt: skip
"""What reads the same at any time: all but the count, and registers that are none, an error."""

SVR_ENABLE = 0x100
SVR_BITS = 0x3FF
LDR_SHIFT = 24
DFR_SHIFT = 28
DFR_FLAT = 0xF
DFR_RESERVED = 0x0FFF_FFFF  # read as ones

# Places in LapicState.lvt
LINT0 = 2
LINT1 = 3
ERROR = 4
LVT_BITS = (0x107FF, 0x107FF, 0x1A7FF, 0x1A7FF, 0x100FF)
LVT_REMOTE_IRR = 0x4000
LVT_LEVEL = 0x8000

DELIVERY = 0x700  # mode, in LVT entries and in the ICR
FIXED = 0x000
LOWEST_PRIORITY = 0x100
NMI = 0x400
INIT = 0x500
STARTUP = 0x600
EXTINT = 0x700

ICR_LOGICAL = 0x800
ICR_ASSERT = 0x4000
ICR_LEVEL = 0x8000
ICR_BITS = 0xCCFFF
SHORTHAND = 0xC0000
SHORTHAND_NONE = 0x00000
SHORTHAND_SELF = 0x40000
SHORTHAND_ALL = 0x80000
SHORTHAND_OTHERS = 0xC0000
DESTINATION_SHIFT = 24
BROADCAST = 0xFF

ERROR_SEND_VECTOR = 0x20
ERROR_RECEIVE_VECTOR = 0x40
ERROR_REGISTER = 0x80
FIRST_VECTOR = 16  # those below are illegal

MSR_BSP = 0x100
MSR_ENABLE = 0x800


@dataclass(slots=True)
class LapicState(Record):
    """The registers, as a hardware reset leaves them. Vector n is bit n & 7 of byte n >> 3."""

    TYPE: ClassVar[str] = "lapic"

    enabled: bool = flag("bit 11 of IA32_APIC_BASE; else the pins lead straight to the CPU", True)
    tpr: int = uint(8, "task priority")
    ldr: int = uint(8, "logical ID")
    dfr: int = uint(4, "destination format: 15 flat, 0 cluster", DFR_FLAT)
    svr: int = uint(10, "spurious vector; bit 8 is the software enable", 0xFF)
    isr: bytearray = octets(32, 32, "vectors in service", bytes(32))
    tmr: bytearray = octets(32, 32, "vectors last accepted as level triggered", bytes(32))
    irr: bytearray = octets(32, 32, "vectors requested", bytes(32))
    esr: int = uint(8, "error status as of the last write to it")
    errors: int = uint(8, "errors since")
    icr_low: int = uint(20, "last interrupt command")
    icr_destination: int = uint(8, "destination of interrupt commands")
    lvt: list[int] = ints(5, 17, "LVT: thermal, performance, LINT0, LINT1, error", LVT_MASKED)
    pins: list[int] = ints(2, 1, "levels of LINT0 and LINT1")
    timer: LapicTimerState = nested(LapicTimerState, "the timer")
