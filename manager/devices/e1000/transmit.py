# SPDX-License-Identifier: BSD-2-Clause
"""Frames out of an 82540EM: descriptors of three kinds, one packet at a time.

Source: 317453, section 3.3. Descriptors stay the driver's until their packet is sent, and are read
again then: the record only knows when that is. So a suspend may fall anywhere.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from manager.bus.dma import Dma
from manager.bus.ethernet import HEADER, MIN_FRAME
from manager.devices.e1000 import offload, statistics
from manager.devices.e1000 import registers as e1000
from manager.devices.e1000.state import DESCRIPTOR, ContextState, ControllerState
from manager.lazy import dataclass

END, VLAN, REPORT, EXTENDED = 1 << 24, 1 << 30, 1 << 27, 1 << 29
SUM, SEGMENT = 1 << 26, 1 << 26
"""One bit, of legacy descriptors and of extended ones."""
KIND_SHIFT, DATA_KIND = 20, 1
TCP, IPV4 = 1 << 24, 1 << 25
DONE = 1
STATUS_AT = 12
MOST_PARTS, MOST_BYTES = 256, 1 << 17
"""Descriptors and bytes of a packet; one with more is dropped."""
_ENTRY = struct.Struct("<QII")
_CONTEXT = struct.Struct("<BBHBBHII")


@dataclass(frozen=True, slots=True)
class Part:
    """A descriptor."""

    index: int
    raw: bytes
    address: int
    command: int
    """The second half's first 32 bits: length, kind, command."""
    options: int
    """And its last 32 bits."""

    @property
    def is_context(self) -> bool:
        """Whether it describes the frames after it, and no data."""
        return bool(self.command & EXTENDED) and not self.command >> KIND_SHIFT & 0xF

    @property
    def length(self) -> int:
        """Bytes of data."""
        return self.command & (0xFFFFF if self.command & EXTENDED else 0xFFFF)


class Transmitter:
    """Takes packets from the ring of `state`, which the controller sets; `send` has frames."""

    def __init__(self, dma: Dma, send: Callable[[bytes], None]) -> None:
        self.state = ControllerState()
        self._dma = dma
        self._send = send

    def next_length(self) -> int | None:
        """Bytes of the packet at the ring's head; contexts before it are taken in.

        None while there is none that is whole.
        """
        packet = self._packet()
        for _ in range(MOST_PARTS):
            if packet is None or not packet[0].is_context:
                break
            self.send_next()
            packet = self._packet()
        return None if packet is None else sum(part.length for part in packet)

    def send_next(self) -> bool:
        """Send the packet at the ring's head; whether its driver wants to know."""
        packet = self._packet()
        if packet is None:
            return False
        if packet[0].is_context:
            self._take_context(packet[0])
        else:
            for frame in self._frames(packet):
                self._emit(bytes(frame), packet[-1])
        return self._finish(packet)

    def _emit(self, frame: bytes, last: Part) -> None:
        state = self.state
        if len(frame) < HEADER:
            return
        if last.command & VLAN and state.control & e1000.CTRL_VLAN:
            frame = offload.tagged(frame, state.vlan_type, last.options >> 16)
        if state.transmit_control & e1000.PAD_SHORT:
            frame = frame.ljust(MIN_FRAME, b"\0")
        statistics.count(state.counters, statistics.SENT, frame)
        self._send(frame)

    def _frames(self, packet: list[Part]) -> Iterator[bytes | bytearray]:
        """What a packet becomes on the wire; nothing if it is too long or not all in RAM."""
        first = packet[0]
        length = sum(part.length for part in packet)
        if len(packet) >= MOST_PARTS or length > MOST_BYTES:
            return
        data = self._dma.gather((part.address, part.length) for part in packet)
        if len(data) < length:
            return
        if not first.command & EXTENDED:
            frame = bytearray(data)
            if first.command & SUM:
                start, at = first.options >> 8 & 0xFF, first.command >> 16 & 0xFF
                offload.put_sum(frame, start, 0, at)
            yield frame
            return
        segmented = bool(first.command & SEGMENT)
        context, options = self.state.contexts[segmented], first.options >> 8 & 0xFF
        if segmented:
            yield from offload.segments(data, context, options)
        else:
            frame = bytearray(data)
            offload.sums(frame, context, options)
            yield frame

    # -- the ring -----------------------------------------------------------------------------

    def _packet(self) -> list[Part] | None:
        """The descriptors up to the packet's end, or a context; None while that is not there."""
        ring = self.state.transmit
        found: list[Part] = []
        for step in range(min(ring.available, MOST_PARTS)):
            part = self._part((ring.head + step) % ring.count)
            if part is None:
                return None
            found.append(part)
            if part.command & END or (part.is_context and step == 0):
                return found
        return found if len(found) == MOST_PARTS else None

    def _part(self, index: int) -> Part | None:
        raw = self._dma.read(self.state.transmit.base + DESCRIPTOR * index, DESCRIPTOR)
        return Part(index, raw, *_ENTRY.unpack(raw)) if len(raw) == DESCRIPTOR else None

    def _take_context(self, part: Part) -> None:
        ip_start, ip_at, ip_end, start, at, end, command, rest = _CONTEXT.unpack(part.raw)
        self.state.contexts[bool(command & SEGMENT)] = ContextState(
            *(ip_start, ip_at, ip_end, start, at, end),
            payload=command & 0xFFFFF,
            header=rest >> 8 & 0xFF,
            segment=rest >> 16,
            is_tcp=bool(command & TCP),
            is_ipv4=bool(command & IPV4),
        )

    def _finish(self, parts: list[Part]) -> bool:
        """Give descriptors back; whether one of them wants to be told of."""
        ring = self.state.transmit
        told = False
        for part in parts:
            if part.command & REPORT:
                status = part.options & 0xFF | DONE
                self._dma.write_u8(ring.base + DESCRIPTOR * part.index + STATUS_AT, status)
                told = True
        ring.head = (parts[-1].index + 1) % ring.count
        return told
