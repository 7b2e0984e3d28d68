# SPDX-License-Identifier: BSD-2-Clause
"""The statistics registers of an 82540EM: 64 of them, cleared as they are read.

Source: 317453, section 13.7. Those that only a fault on the wire would count stay 0.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from manager.bus.ethernet import CHECKSUM, EVERYONE, is_group
from manager.devices.e1000.registers import STATISTICS


def _at(offset: int) -> int:
    return (offset - STATISTICS) // 4


SIZES = (64, 127, 255, 511, 1023)
"""Bytes of the longest frame in each of the counters by size; the last has the rest."""


class _Direction(NamedTuple):
    """The numbers of the counters of one direction."""

    by_size: int
    frames: tuple[int, int]
    """Good ones, and all."""
    bytes: tuple[int, int]
    broadcasts: int
    groups: int


RECEIVED = _Direction(
    _at(0x405C), (_at(0x4074), _at(0x40D0)), (_at(0x4088), _at(0x40C0)), _at(0x4078), _at(0x407C)
)
SENT = _Direction(
    _at(0x40D8), (_at(0x4080), _at(0x40D4)), (_at(0x4090), _at(0x40C8)), _at(0x40F4), _at(0x40F0)
)
WIDE = frozenset(RECEIVED.bytes + SENT.bytes)
"""Those of 64 bits, which are cleared when their upper half is read."""


def read(counters: list[int], number: int) -> int:
    """Read a counter."""
    value = counters[number]
    if number - 1 in WIDE:
        counters[number - 1] = 0
    if number not in WIDE:
        counters[number] = 0
    return value


def count(counters: list[int], direction: _Direction, frame: bytes) -> None:
    """One more frame is RECEIVED or SENT."""
    length = len(frame) + CHECKSUM
    for number in (*direction.frames, direction.by_size + bisect_left(SIZES, length)):
        _add(counters, number, 1)
    for number in direction.bytes:
        _add_wide(counters, number, length)
    if frame.startswith(EVERYONE):
        _add(counters, direction.broadcasts, 1)
    elif is_group(frame):
        _add(counters, direction.groups, 1)


def _add(counters: list[int], number: int, value: int) -> None:
    counters[number] = min(counters[number] + value, 0xFFFF_FFFF)


def _add_wide(counters: list[int], number: int, value: int) -> None:
    total = (counters[number + 1] << 32 | counters[number]) + value
    counters[number], counters[number + 1] = total & 0xFFFF_FFFF, total >> 32 & 0xFFFF_FFFF
