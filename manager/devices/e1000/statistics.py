# SPDX-License-Identifier: BSD-2-Clause
"""The statistics registers of an 82540EM: 64 of them, cleared as they are read.

Source: 317453, section 13.7. Those that only a fault on the wire would count stay 0.
"""

from __future__ import annotations

from bisect import bisect_left

from manager.devices.e1000.registers import STATISTICS


def _at(offset: int) -> int:
    return (offset - STATISTICS) // 4


SIZES = (64, 127, 255, 511, 1023)
"""Bytes of the longest frame in each of the counters by size; the last has the rest."""
RECEIVED_BY_SIZE, SENT_BY_SIZE = _at(0x405C), _at(0x40D8)
RECEIVED, RECEIVED_BROADCASTS, RECEIVED_GROUPS = _at(0x4074), _at(0x4078), _at(0x407C)
SENT, SENT_GROUPS, SENT_BROADCASTS = _at(0x4080), _at(0x40F0), _at(0x40F4)
RECEIVED_BYTES, SENT_BYTES = _at(0x4088), _at(0x4090)
ALL_RECEIVED_BYTES, ALL_SENT_BYTES = _at(0x40C0), _at(0x40C8)
ALL_RECEIVED, ALL_SENT = _at(0x40D0), _at(0x40D4)
WIDE = frozenset({RECEIVED_BYTES, SENT_BYTES, ALL_RECEIVED_BYTES, ALL_SENT_BYTES})
"""Those of 64 bits, which are cleared when their upper half is read."""
EVERYONE = b"\xff" * 6
CHECKSUM = 4


def read(counters: list[int], number: int) -> int:
    """Read a counter."""
    value = counters[number]
    if number - 1 in WIDE:
        counters[number - 1] = 0
    if number not in WIDE:
        counters[number] = 0
    return value


def count_received(counters: list[int], frame: bytes) -> None:
    """One more frame has come in."""
    length = len(frame) + CHECKSUM
    for number in (RECEIVED, ALL_RECEIVED, RECEIVED_BY_SIZE + bisect_left(SIZES, length)):
        _add(counters, number, 1)
    for number in (RECEIVED_BYTES, ALL_RECEIVED_BYTES):
        _add_wide(counters, number, length)
    if frame.startswith(EVERYONE):
        _add(counters, RECEIVED_BROADCASTS, 1)
    elif frame[0] & 1:
        _add(counters, RECEIVED_GROUPS, 1)


def count_sent(counters: list[int], frame: bytes) -> None:
    """One more frame has gone out."""
    length = len(frame) + CHECKSUM
    for number in (SENT, ALL_SENT, SENT_BY_SIZE + bisect_left(SIZES, length)):
        _add(counters, number, 1)
    for number in (SENT_BYTES, ALL_SENT_BYTES):
        _add_wide(counters, number, length)
    if frame.startswith(EVERYONE):
        _add(counters, SENT_BROADCASTS, 1)
    elif frame[0] & 1:
        _add(counters, SENT_GROUPS, 1)


def _add(counters: list[int], number: int, value: int) -> None:
    counters[number] = min(counters[number] + value, 0xFFFF_FFFF)


def _add_wide(counters: list[int], number: int, value: int) -> None:
    total = (counters[number + 1] << 32 | counters[number]) + value
    counters[number], counters[number + 1] = total & 0xFFFF_FFFF, total >> 32 & 0xFFFF_FFFF
