# SPDX-License-Identifier: BSD-2-Clause
"""How a guest ends its machine."""

from __future__ import annotations

import pytest

from manager.bus.ports import PortBus
from manager.bus.record import from_plain, to_plain
from manager.devices.debug_exit.device import DebugExit, DebugExitState


@pytest.mark.parametrize(("value", "status"), [(0, 1), (1, 3), (0x10, 0x21), (0xFF, 0x1FF)])
def test_write_ends_with_an_odd_status(value: int, status: int) -> None:
    ended: list[int] = []
    DebugExit(ended.append).write_port(0, value)

    assert ended == [status]


@pytest.mark.parametrize("length", [1, 4])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_low_byte_of_a_wide_write_counts_and_ends_once(length: int, size: int) -> None:
    ended: list[int] = []
    bus = PortBus()
    bus.claim(0xF4, length, DebugExit(ended.append))
    bus.write(0xF4, size, 0x0605_0410 & (1 << 8 * size) - 1)

    assert ended == [0x21]


def test_port_reads_zero_and_does_not_end() -> None:
    ended: list[int] = []
    port = DebugExit(ended.append)

    assert port.read_port(0) == 0
    assert ended == []


def test_save_load_and_reset_do_not_end() -> None:
    ended: list[int] = []
    port = DebugExit(ended.append)
    port.write_port(0, 0)
    saved = to_plain(port.save())
    port.load(from_plain(DebugExitState, saved, DebugExitState.VERSION, "debug-exit"))
    port.reset()

    assert ended == [1]
    assert to_plain(port.save()) == saved
