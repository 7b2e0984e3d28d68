# SPDX-License-Identifier: BSD-2-Clause
"""The firmware's chip: read-only memory that ends at 4 GiB, and its shadow under 1 MiB.

A snapshot holds the content, so that a machine goes on with the firmware it was started with.
Source: Intel 82441FX and 82371SB datasheets (the top 128 KiB also appear at E0000h).
"""

from __future__ import annotations

import mmap
from typing import ClassVar

from manager.bus.memory import FOUR_GIB, PAGE, Memory
from manager.bus.record import Record, octets
from manager.devices.device import Device
from manager.lazy import dataclass

SIZE_LIMIT = 16 << 20
SHADOW_END = 1 << 20
SHADOW_LIMIT = 128 << 10


@dataclass(slots=True)
class RomState(Record):
    """What is in the chip."""

    TYPE: ClassVar[str] = "rom"

    content: bytearray = octets(0, SIZE_LIMIT, "all of the chip, lowest address first")

    def contradiction(self) -> str:
        """A chip is whole pages, one at least."""
        if not self.content or len(self.content) % PAGE:
            return f"a chip of {len(self.content)} bytes is not a whole number of pages"
        return ""


class Rom(Device[RomState]):
    """A chip with `content`: whole pages, at most SIZE_LIMIT. Guests read it at `base`."""

    STATE = RomState

    def __init__(self, content: RomState) -> None:
        self.state = content
        self.memory = mmap.mmap(-1, len(content.content), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.memory[:] = content.content

    @property
    def base(self) -> int:
        """Physical address of the first byte."""
        return FOUR_GIB - len(self.memory)

    def power_on(self) -> RomState:
        """What is in the chip stays there."""
        return self.state

    def shadow(self, memory: Memory) -> None:
        """Put the end of the chip into RAM under 1 MiB, where real mode starts to work.

        On a PC these addresses are the chip's until firmware opens the RAM behind them. Here they
        are RAM from the start, which firmware that copies itself there does not notice.
        """
        length = min(len(self.memory), SHADOW_LIMIT)
        memory.write(SHADOW_END - length, self.memory[-length:])
