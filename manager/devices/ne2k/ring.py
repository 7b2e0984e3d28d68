# SPDX-License-Identifier: BSD-2-Clause
"""What a DP8390 does with a frame from the wire: filter, receive ring, tallies.

Source: DP8390D datasheet, section 7 (packet reception) and registers RCR, RSR, MAR.
"""

from __future__ import annotations

import zlib
from itertools import pairwise

from manager.bus.ethernet import ADDRESS, CHECKSUM, EVERYONE, MIN_FRAME, checksum, is_group
from manager.devices.ne2k import registers as ne
from manager.devices.ne2k.memory import PAGE, BoardMemory
from manager.devices.ne2k.state import Dp8390State

HEADER = 4
"""Bytes before a frame in the ring: status, page of the next one, length with the checksum."""
ALIGNMENT, CHECKSUMS, MISSES = range(3)


def hash_of(address: bytes) -> int:
    """Which of 64 bits of the filter a group has: the first six bits of its checksum.

    >>> hash_of(bytes.fromhex("01005e000001"))
    31
    """
    low = ~zlib.crc32(address) & 0x3F
    return int(f"{low:06b}"[::-1], 2)


def is_wanted(state: Dp8390State, frame: bytes) -> bool:
    """Whether the filter lets a frame through."""
    target, rules = frame[:ADDRESS], state.receive_configuration
    if target == EVERYONE:
        return bool(rules & ne.BROADCAST)
    if is_group(target):
        bit = hash_of(target)
        return bool(rules & ne.GROUPS and state.multicast[bit >> 3] >> (bit & 7) & 1)
    return bool(rules & ne.PROMISCUOUS) or target == state.physical


def count(state: Dp8390State, which: int) -> None:
    """One more on a tally, which stops at its end and asks for attention before."""
    state.tallies[which] = min(state.tallies[which] + 1, ne.COUNTER_MOST)
    if state.tallies[which] >= ne.COUNTER_HALF_AT:
        state.interrupts |= ne.COUNTER_HALF


def store(state: Dp8390State, memory: BoardMemory, frame: bytes) -> None:
    """Put a wanted frame into the ring, or lose it there, with all that registers say of it."""
    frame = frame.ljust(MIN_FRAME, b"\0")
    group = ne.OF_GROUP if is_group(frame) else 0
    if state.receive_configuration & ne.MONITOR:
        state.receive_status = ne.RECEIVED_WHOLE | ne.MISSED | ne.DISABLED | group
        count(state, MISSES)
        return
    pages = _pages(state, HEADER + len(frame) + CHECKSUM)
    if state.boundary in pages[1:]:
        state.receive_status = ne.MISSED | group
        state.interrupts |= ne.OVERWRITE
        count(state, MISSES)
        return
    state.receive_status = ne.RECEIVED_WHOLE | group
    length = (len(frame) + CHECKSUM).to_bytes(2, "little")
    data = bytes((state.receive_status, pages[-1])) + length + frame + checksum(frame)
    for number, (page, _) in enumerate(pairwise(pages)):
        memory.write(page * PAGE, data[number * PAGE : (number + 1) * PAGE])
    state.current = pages[-1]
    state.interrupts |= ne.RECEIVED


def _pages(state: Dp8390State, length: int) -> list[int]:
    """The pages for so many bytes, and the one after them."""
    pages = [state.current]
    for _ in range(-(-length // PAGE)):
        page = pages[-1] + 1 & 0xFF
        pages.append(state.page_start if page == state.page_stop else page)
    return pages
