# SPDX-License-Identifier: BSD-2-Clause
"""Frames into an 82540EM: filters, and the ring of buffers.

Source: 317453, section 3.2 and register RCTL. The card checks no sums, and says so with each frame.
"""

from __future__ import annotations

import struct

from manager.bus.dma import Dma
from manager.bus.ethernet import ADDRESS, EVERYONE, MIN_FRAME, checksum, is_group
from manager.devices.e1000 import registers as e1000
from manager.devices.e1000 import statistics
from manager.devices.e1000.offload import TAG_AT
from manager.devices.e1000.state import DESCRIPTOR, ControllerState

DONE, END, NO_SUMS, TAGGED, INEXACT = 0x01, 0x02, 0x04, 0x08, 0x80
"""Status of a descriptor."""
SIZES = (2048, 1024, 512, 256)
EXTENSION = 16
GROUP_SHIFTS = (4, 3, 2, 0)
THRESHOLD = (2, 4, 8, 8)
"""The driver is told when only one of so many descriptors is left."""
VLAN_MASK = 0xFFF
_STATUS = struct.Struct("<HHBBH")


class Receiver:
    """Puts frames into the ring of `state`, which the controller sets."""

    def __init__(self, dma: Dma) -> None:
        self.state = ControllerState()
        self._dma = dma

    def receive(self, frame: bytes) -> int | None:
        """Causes of interrupts that come of a frame; None when there are not enough buffers."""
        state, ring = self.state, self.state.receive
        frame = frame.ljust(MIN_FRAME, b"\0")
        tag = self._tag(frame)
        passed = self._passed(frame, tag)
        if passed is None:
            return 0
        status, data, special = passed | NO_SUMS | DONE, frame, 0
        if tag is not None and state.control & e1000.CTRL_VLAN:
            data = frame[:TAG_AT] + frame[TAG_AT + 4 :]
            status, special = status | TAGGED, tag
        if not state.receive_control & e1000.STRIP_CHECKSUM:
            data += checksum(frame)
        size = self._size()
        parts = [data[at : at + size] for at in range(0, len(data), size)]
        if ring.available < len(parts):
            return None
        for number, part in enumerate(parts):
            last = END if number == len(parts) - 1 else 0
            if not self._store(part, status | last, special):
                return 0
        statistics.count(state.counters, statistics.RECEIVED, frame)
        share = THRESHOLD[state.receive_control >> e1000.THRESHOLD_SHIFT & 3]
        few = e1000.FEW_DESCRIPTORS if ring.available <= ring.count // share else 0
        return e1000.RECEIVED | few

    def _size(self) -> int:
        rules = self.state.receive_control
        size = SIZES[rules >> e1000.SIZE_SHIFT & 3]
        return size * EXTENSION if rules & e1000.SIZE_EXTENSION and size < SIZES[0] else size

    def _store(self, part: bytes, status: int, special: int) -> bool:
        """Fill one buffer and give its descriptor back; False when either is not in RAM."""
        ring = self.state.receive
        at = ring.base + DESCRIPTOR * ring.head
        ring.head = (ring.head + 1) % ring.count
        address = self._dma.read(at, 8)
        stored = self._dma.write(int.from_bytes(address, "little"), part)
        done = _STATUS.pack(len(part), 0, status, 0, special)
        return stored == len(part) and self._dma.write(at + 8, done) == len(done)

    # -- filters ------------------------------------------------------------------------------

    def _tag(self, frame: bytes) -> int | None:
        """What is in the VLAN tag of a frame that has one."""
        kind, tag = struct.unpack_from(">HH", frame, TAG_AT)
        return tag if kind == self.state.vlan_type & 0xFFFF and kind else None

    def _passed(self, frame: bytes, tag: int | None) -> int | None:
        """How a frame came through the filters: status bits, or None if it did not."""
        state, rules, target = self.state, self.state.receive_control, frame[:ADDRESS]
        if tag is not None and rules & e1000.VLAN_FILTER:
            vlan = tag & VLAN_MASK
            if not state.vlans[vlan >> 5] >> (vlan & 31) & 1:
                return None
        if self._is_own(target) or (target == EVERYONE and rules & e1000.BROADCAST):
            return 0
        if not is_group(target):
            return 0 if rules & e1000.ALL_STATIONS else None
        if rules & e1000.ALL_GROUPS:
            return 0
        shift = GROUP_SHIFTS[rules >> e1000.GROUP_OFFSET_SHIFT & 3]
        bit = int.from_bytes(target[4:], "little") >> shift & 0xFFF
        return INEXACT if state.groups[bit >> 5] >> (bit & 31) & 1 else None

    def _is_own(self, target: bytes) -> bool:
        low, high = struct.unpack("<IH", target)
        high |= e1000.ADDRESS_VALID
        known = self.state.addresses
        return any(
            known[at] == low and known[at + 1] & (e1000.ADDRESS_VALID | 0xFFFF) == high
            for at in range(0, len(known), 2)
        )
