# SPDX-License-Identifier: BSD-2-Clause
"""Where a message of a PCI function ends up."""

from __future__ import annotations

import pytest

from manager.bus.dma import Dma
from manager.bus.memory import Memory
from manager.bus.messages import FIXED, LOWEST_PRIORITY, NMI, Message, MessageBus


class Pc:
    def __init__(self) -> None:
        self.memory = Memory.blank(1 << 20)
        self.got: list[Message] = []
        self.bus = MessageBus(self.got.append, Dma(self.memory, lambda start, end: None))


@pytest.mark.parametrize(
    ("address", "data", "wanted"),
    [
        (0xFEE0_0000, 0x0041, Message(0, False, FIXED, 0x41, False)),
        (0xFEE0_F00C, 0x0141, Message(0x0F, True, LOWEST_PRIORITY, 0x41, False)),
        (0xFEEF_F000, 0x0400, Message(0xFF, False, NMI, 0, False)),
        (0xFEE0_1000, 0xC030, Message(1, False, FIXED, 0x30, True)),
        (0xFEE0_1000, 0xFFFF_4030, Message(1, False, FIXED, 0x30, False)),
    ],
)
def test_an_address_of_local_apics_makes_an_interrupt(
    address: int, data: int, wanted: Message
) -> None:
    pc = Pc()

    pc.bus.send(address, data)

    assert pc.got == [wanted]


def test_the_end_of_a_level_is_none() -> None:
    pc = Pc()

    pc.bus.send(0xFEE0_1000, 0x8030)

    assert pc.got == []


@pytest.mark.parametrize("address", [0x1_FEE0_0000, 0xFED0_0000, 0xFEF0_0000, (1 << 64) - 4])
def test_an_address_of_nothing_makes_nothing(address: int) -> None:
    pc = Pc()

    pc.bus.send(address, 0x41)

    assert pc.got == []


def test_an_address_of_ram_is_written_to() -> None:
    pc = Pc()

    pc.bus.send(0x8000, 0x1234_5678)

    assert pc.memory.read(0x8000, 4) == b"\x78\x56\x34\x12"
    assert pc.got == []
