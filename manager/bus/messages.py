# SPDX-License-Identifier: BSD-2-Clause
"""Interrupts as messages: writes of 32 bits that local APICs take from the bus.

What has no place for a local APIC in its address is an ordinary write, and goes to RAM.
Source: Intel SDM volume 3, "Message Signalled Interrupts".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from manager.bus.dma import Dma

APIC_ADDRESSES = 0xFEE  # bits 20-31 of an address that is for local APICs; those above are 0
ADDRESS_SHIFT = 20
DESTINATION_SHIFT, DESTINATION = 12, 0xFF
LOGICAL = 0x4
VECTOR = 0xFF
DELIVERY_SHIFT, DELIVERY = 8, 0x7
ASSERT = 0x4000
LEVEL_TRIGGERED = 0x8000

FIXED, LOWEST_PRIORITY, SMI, NMI, INIT, EXTINT = 0, 1, 2, 4, 5, 7


class Message(NamedTuple):
    """One interrupt message, decoded."""

    destination: int
    """8 bits: an APIC ID, or a set of them if `logical`."""
    logical: bool
    delivery: int
    """FIXED, LOWEST_PRIORITY, NMI, ..."""
    vector: int
    level: bool
    """Level-triggered, so that its end is broadcast to the I/O APIC."""


class MessageBus:
    """Takes the messages of all functions. `deliver` hands one to the local APICs.

    `dma` is the way of those that are for RAM.
    """

    __slots__ = ("_deliver", "_dma")

    def __init__(self, deliver: Callable[[Message], None], dma: Dma) -> None:
        self._deliver = deliver
        self._dma = dma

    def send(self, address: int, data: int) -> None:
        """A function writes 32 bits of data to an address."""
        if (message := decode(address, data)) is not None:
            self._deliver(message)
        elif address >> ADDRESS_SHIFT != APIC_ADDRESSES:
            self._dma.write_u32(address, data)


def decode(address: int, data: int) -> Message | None:
    """The message that a write of `data` to `address` is; None if it is no interrupt."""
    gone = data & LEVEL_TRIGGERED and not data & ASSERT  # a level that ends
    if address >> ADDRESS_SHIFT != APIC_ADDRESSES or gone:
        return None
    return Message(
        address >> DESTINATION_SHIFT & DESTINATION,
        bool(address & LOGICAL),
        data >> DELIVERY_SHIFT & DELIVERY,
        data & VECTOR,
        bool(data & LEVEL_TRIGGERED),
    )
