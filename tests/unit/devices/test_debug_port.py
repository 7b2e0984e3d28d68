# SPDX-License-Identifier: BSD-2-Clause
"""What firmware tells of itself at port 402h."""

from __future__ import annotations

from manager.bus.channel import Loose
from manager.devices.debug_port.device import DebugPort


class Heard(Loose):
    def __init__(self) -> None:
        self.bytes = bytearray()

    def transmit(self, byte: int) -> None:
        self.bytes.append(byte)


def test_what_is_written_is_heard() -> None:
    heard = Heard()
    port = DebugPort(heard)

    for byte in b"SeaBIOS\n":
        port.write_port(0, byte)

    assert heard.bytes == b"SeaBIOS\n"


def test_reading_shows_that_the_port_is_there() -> None:
    assert DebugPort(Heard()).read_port(0) == 0xE9


def test_save_and_reset_say_nothing() -> None:
    heard = Heard()
    port = DebugPort(heard)

    port.load(port.save())
    port.reset()

    assert heard.bytes == b""
