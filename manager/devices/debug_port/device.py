# SPDX-License-Identifier: BSD-2-Clause
"""The debug console of the Bochs tradition: SeaBIOS and OVMF write what they do to port 402h.

Reading gives E9h, by which firmware knows that the port is there.
"""

from __future__ import annotations

from typing import ClassVar

from manager.bus.channel import Channel
from manager.bus.grants import NO_GRANTS, Grants
from manager.bus.record import Record
from manager.devices.device import Device
from manager.lazy import dataclass

PRESENT = 0xE9


@dataclass(slots=True)
class DebugPortState(Record):
    """Nothing: bytes pass through."""

    TYPE: ClassVar[str] = "debug-port"


class DebugPort(Device[DebugPortState]):
    """One byte port; what is written goes to `channel`."""

    STATE = DebugPortState

    def __init__(self, channel: Channel, grants: Grants = NO_GRANTS) -> None:
        self._channel = channel
        self._grants = grants
        self.state = self.power_on()

    def read_port(self, offset: int) -> int:
        """The mark of a debug port."""
        self._grants.steady()
        return PRESENT

    def write_port(self, offset: int, value: int) -> None:
        """One byte for the log."""
        if (further := self._channel.transmit(value)) is not None:
            self._grants.absorb(further)
