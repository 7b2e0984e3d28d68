# SPDX-License-Identifier: BSD-2-Clause
"""The I/O APIC at FEC00000h: 24 pins that become messages to local APICs.

Pins carry "asserted", so polarity bits are kept and do nothing. Fixed, lowest-priority and NMI
messages are delivered; SMI, INIT and ExtINT are not, the 8259A having a wire of its own.
Sources: Intel 82093AA datasheet (290566); for the EOI register, the Intel ICH2 datasheet (290687).
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from manager.bus.grants import NO_GRANTS, Grants
from manager.bus.lines import Line
from manager.bus.record import Record, ints, uint
from manager.devices.device import Device
from manager.lazy import dataclass

BASE = 0xFEC0_0000
LENGTH = 0x1000
PINS = 24
VERSION = (PINS - 1) << 16 | 0x20  # 20h: has an EOI register

# Offsets in memory
IOREGSEL = 0x00
IOWIN = 0x10
EOI = 0x40

# Registers behind the window
ID_REGISTER = 0x00
VERSION_REGISTER = 0x01
ARBITRATION_REGISTER = 0x02
REDIRECTION = range(0x10, 0x10 + 2 * PINS)  # low and high half of an entry, pin by pin
ID_SHIFT = 24
ID_BITS = 0xF

# Redirection entry
VECTOR = 0xFF
DELIVERY = 0x700
FIXED = 0x000
LOWEST_PRIORITY = 0x100
NMI = 0x400
DELIVERED = (FIXED, LOWEST_PRIORITY, NMI)
LOGICAL = 0x800
REMOTE_IRR = 0x4000
LEVEL = 0x8000
MASKED = 0x10000
LOW_WRITABLE = MASKED | LEVEL | 0x2000 | LOGICAL | DELIVERY | VECTOR  # 2000h: polarity
DESTINATION_SHIFT = 56
HIGH_WRITABLE = 0xFF00_0000
LOW_HALF = 0xFFFF_FFFF


@dataclass(slots=True)
class IoApicState(Record):
    """The registers and the pins."""

    TYPE: ClassVar[str] = "ioapic"

    select: int = uint(8, "register that the window shows")
    id: int = uint(4, "APIC ID as written")
    entries: list[int] = ints(
        PINS, 64, "redirection entries; bit 14, remote IRR, stands until the EOI", MASKED
    )
    pins: int = uint(PINS, "levels of the pins, one bit each")


class Pin:
    """One input; idempotent, so that driving it again after a restore is no edge."""

    __slots__ = ("_bit", "_ioapic", "_pin")

    def __init__(self, ioapic: IoApic, pin: int) -> None:
        self._ioapic = ioapic
        self._pin = pin
        self._bit = 1 << pin

    def set(self, level: bool) -> None:
        """Drive the pin."""
        state = self._ioapic.state
        if bool(state.pins & self._bit) != level:
            state.pins ^= self._bit
            if level:
                self._ioapic.request(self._pin)


class Deliver(Protocol):
    """The way to the local APICs: manager.devices.lapic.bus.ApicBus.deliver."""

    def __call__(
        self, mode: int, vector: int, level: bool, destination: int, logical: bool, /
    ) -> bool:
        """False when no local APIC took the message."""


class IoApic(Device[IoApicState]):
    """Sends a message for each pin. An edge on a masked pin is lost, and so is a message that no
    local APIC takes.
    """

    STATE = IoApicState

    def __init__(self, deliver: Deliver, grants: Grants = NO_GRANTS) -> None:
        self._deliver = deliver
        self._grants = grants
        self.state = self.power_on()

    def line(self, pin: int) -> Line:
        """The input of pin 0-23. Raises ValueError for any other."""
        if pin not in range(PINS):
            raise ValueError(f"pin {pin} is no input of the I/O APIC")
        return Pin(self, pin)

    def request(self, pin: int) -> None:
        """Send the message of a pin that is high, unless its entry holds it back."""
        entries = self.state.entries
        entry = entries[pin]
        if entry & (MASKED | REMOTE_IRR) or entry & DELIVERY not in DELIVERED:
            return
        level, logical = bool(entry & LEVEL), bool(entry & LOGICAL)
        nmi = entry & DELIVERY == NMI  # always an edge
        destination = entry >> DESTINATION_SHIFT
        taken = self._deliver(entry & DELIVERY, entry & VECTOR, level, destination, logical)
        if taken and level and not nmi:
            entries[pin] = entry | REMOTE_IRR

    @property
    def may_send_nmi(self) -> bool:
        """Whether a pin is programmed to."""
        return any(entry & (MASKED | DELIVERY) == NMI for entry in self.state.entries)

    def eoi(self, vector: int) -> None:
        """The CPU is done with a level-triggered vector: pins that are still high request again."""
        for pin, entry in enumerate(self.state.entries):
            if entry & REMOTE_IRR and entry & VECTOR == vector:
                self.state.entries[pin] = entry & ~REMOTE_IRR
                self._request_level(pin)

    def _request_level(self, pin: int) -> None:
        if self.state.entries[pin] & LEVEL and self.state.pins >> pin & 1:
            self.request(pin)

    def read_mmio(self, offset: int, size: int) -> int:
        """Read the index or the window, or bytes of them; all else reads as 0."""
        register = offset & ~3
        self._grants.steady(size)
        if register == IOREGSEL:
            value = self.state.select
        elif register == IOWIN:
            value = self._read(self.state.select)
        else:
            return 0
        return value >> 8 * (offset & 3) & (1 << 8 * size) - 1

    def write_mmio(self, offset: int, size: int, value: int) -> None:
        """Write the index, the window (32 bits at once only) or the EOI register."""
        if offset == IOREGSEL:
            self.state.select = value & 0xFF
        elif offset == IOWIN and size == 4:
            self._write(self.state.select, value & LOW_HALF)
        elif offset == EOI:
            self.eoi(value & VECTOR)

    def _read(self, register: int) -> int:
        state = self.state
        if register in REDIRECTION:
            pin, high = divmod(register - REDIRECTION.start, 2)
            return state.entries[pin] >> 32 * high & LOW_HALF
        if register in (ID_REGISTER, ARBITRATION_REGISTER):
            return state.id << ID_SHIFT
        return VERSION if register == VERSION_REGISTER else 0

    def _write(self, register: int, value: int) -> None:
        state = self.state
        if register == ID_REGISTER:
            state.id = value >> ID_SHIFT & ID_BITS
        if register not in REDIRECTION:
            return
        pin, high = divmod(register - REDIRECTION.start, 2)
        entry = state.entries[pin]
        if high:
            entry = entry & LOW_HALF | (value & HIGH_WRITABLE) << 32
        else:
            # Guests without the EOI register clear remote IRR by way of edge triggering.
            kept = entry & REMOTE_IRR if value & LEVEL else 0
            entry = entry & ~LOW_HALF | value & LOW_WRITABLE | kept
        state.entries[pin] = entry
        if entry & DELIVERY != NMI:
            self._request_level(pin)
