# SPDX-License-Identifier: BSD-2-Clause
"""How messages find local APICs: by physical or logical destination, broadcast, lowest priority.

Source: Intel SDM volume 3, "Determining IPI Destination" and "Lowest Priority".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from manager.devices.lapic import priority
from manager.devices.lapic.registers import (
    FIXED,
    INIT,
    LOWEST_PRIORITY,
    NMI,
    STARTUP,
    LapicState,
)


class Member(Protocol):
    """A local APIC, as messages reach it."""

    state: LapicState

    @property
    def apic_id(self) -> int:
        """Its physical address, 8 bits."""

    @property
    def accepts(self) -> bool:
        """Whether it takes interrupts."""

    def is_addressed(self, destination: int, logical: bool) -> bool:
        """Whether an 8-bit destination means it."""

    def accept(self, vector: int, level: bool) -> bool:
        """Take an interrupt; whether it did."""

    def nmi(self) -> None:
        """Take an NMI."""

    def init(self) -> None:
        """Take an INIT."""

    def start(self, vector: int) -> None:
        """Take a start-up message."""


class ApicBus:
    """All local APICs of a machine; the one of the CPU that boots comes first."""

    __slots__ = ("members",)

    def __init__(self) -> None:
        self.members: list[Member] = []

    def deliver(self, mode: int, vector: int, level: bool, destination: int, logical: bool) -> bool:
        """A message to an 8-bit destination, from the I/O APIC, a device (MSI) or an APIC.

        `mode` is a delivery mode as LVT entries have it; `level` says that an EOI must be told.
        False if no APIC took it. What has no meaning here (SMI, ExtINT, remote read) gets lost.
        """
        addressed = [one for one in self.members if one.is_addressed(destination, logical)]
        return self.send(mode, vector, level, addressed)

    def send(self, mode: int, vector: int, level: bool, addressed: Sequence[Member]) -> bool:
        """The same to the APICs that are named."""
        if mode == LOWEST_PRIORITY:
            return bool(addressed) and lowest(addressed).accept(vector, level)
        if mode == FIXED:
            taken = [one.accept(vector, level) for one in addressed]
            return any(taken)
        for one in addressed:
            if mode == NMI:
                one.nmi()
            elif mode == INIT:
                one.init()
            elif mode == STARTUP:
                one.start(vector)
        return bool(addressed)


def lowest(addressed: Sequence[Member]) -> Member:
    """The APIC that serves the least important; among equals the first, as there is no bus to
    arbitrate. Those that would turn the message away come last.
    """
    return min(
        addressed,
        key=lambda one: (not one.accepts, priority.processor_priority(one.state), one.apic_id),
    )
