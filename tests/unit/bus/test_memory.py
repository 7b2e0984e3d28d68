# SPDX-License-Identifier: BSD-2-Clause
"""Guest RAM: where it is, and a host that has too little."""

from __future__ import annotations

import pytest

from manager.bus import memory
from manager.bus.memory import Memory, layout
from manager.errors import HostError

GIB = 1 << 30


def test_ram_leaves_out_the_vga_window_and_the_gibibyte_for_devices() -> None:
    assert layout(GIB) == [(0, 0xA0000), (0xC0000, GIB - 0xC0000)]
    assert layout(4 * GIB)[1:] == [(0xC0000, 3 * GIB - 0xC0000), (4 * GIB, GIB)]


def test_a_host_without_room_says_how_much_was_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(memory, "Ram", refuse)

    with pytest.raises(HostError, match="no room for 64 MiB of guest RAM: Cannot allocate memory"):
        Memory.blank(64 << 20)
