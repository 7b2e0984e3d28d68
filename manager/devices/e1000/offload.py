# SPDX-License-Identifier: BSD-2-Clause
"""What an 82540EM does to frames on their way out: sums, segments, VLAN tags.

Source: 317453, sections 3.4 to 3.6. Offsets that lead out of a frame change nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from manager.devices.e1000.state import ContextState

IP_SUM, TRANSPORT_SUM = 1, 2
"""Options of a data descriptor."""
MOST_SEGMENTS = 2048
TAG_AT = 12
IPV6_HEADER = 40
LAST_ONLY = 0x09
"""FIN and PSH."""


def ones_sum(data: bytes | bytearray | memoryview) -> int:
    """The 16-bit sum of RFC 1071: that of words is what the whole number leaves modulo FFFFh.

    >>> ones_sum(bytes.fromhex("fffe 0003")), ones_sum(bytes(4))
    (2, 0)
    """
    number = int.from_bytes(data, "big") << 8 * (len(data) & 1)
    return number % 0xFFFF or (0xFFFF if number else 0)


def put_sum(frame: bytearray, start: int, end: int, at: int) -> None:
    """Put the sum of `start` to `end` (0: all) in its place; what is there counts."""
    stop = end + 1 if end else len(frame)
    if start < stop <= len(frame) and at + 2 <= len(frame):
        frame[at : at + 2] = (0xFFFF - ones_sum(frame[start:stop])).to_bytes(2, "big")


def sums(frame: bytearray, context: ContextState, options: int) -> None:
    """Both sums that a descriptor may ask for."""
    if options & TRANSPORT_SUM:
        put_sum(frame, context.start, context.end, context.offset)
    if options & IP_SUM:
        put_sum(frame, context.ip_start, context.ip_end, context.ip_offset)


def segments(data: bytes, context: ContextState, options: int) -> Iterator[bytearray]:
    """Whole frames of headers and a part of the payload each; none of a context that cannot be."""
    size, header = context.segment, context.header
    payload = data[header : header + context.payload]
    if not size or not 0 < header < len(data) or len(payload) > size * MOST_SEGMENTS:
        return
    for number, at in enumerate(range(0, len(payload), size)):
        frame = bytearray(data[:header] + payload[at : at + size])
        _number(frame, context, number, at, is_last=at + size >= len(payload))
        if options & TRANSPORT_SUM and context.offset + 2 <= len(frame):
            # The driver has left the length out of the pseudo-header's sum.
            place = slice(context.offset, context.offset + 2)
            length = (len(frame) - context.start) & 0xFFFF
            frame[place] = ones_sum(frame[place] + length.to_bytes(2, "big")).to_bytes(2, "big")
        sums(frame, context, options)
        yield frame


def _number(
    frame: bytearray, context: ContextState, number: int, at: int, *, is_last: bool
) -> None:
    """Lengths, identification and sequence number of one segment."""
    ip, transport = context.ip_start, context.start
    if context.is_ipv4:
        _put(frame, ip + 2, len(frame) - ip)
        _put(frame, ip + 4, _get(frame, ip + 4) + number)
    else:
        _put(frame, ip + 4, len(frame) - ip - IPV6_HEADER)
    if not context.is_tcp:
        _put(frame, transport + 4, len(frame) - transport)
    elif transport + 14 <= len(frame):
        (sequence,) = struct.unpack_from(">I", frame, transport + 4)
        struct.pack_into(">I", frame, transport + 4, sequence + at & 0xFFFF_FFFF)
        if not is_last:
            frame[transport + 13] &= ~LAST_ONLY


def _get(frame: bytearray, at: int) -> int:
    return int.from_bytes(frame[at : at + 2], "big")


def _put(frame: bytearray, at: int, value: int) -> None:
    if at + 2 <= len(frame):
        frame[at : at + 2] = (value & 0xFFFF).to_bytes(2, "big")


def tagged(frame: bytes, kind: int, tag: int) -> bytes:
    """The frame with a VLAN tag."""
    return frame[:TAG_AT] + struct.pack(">HH", kind & 0xFFFF, tag) + frame[TAG_AT:]
