# SPDX-License-Identifier: BSD-2-Clause
"""Commands in packets, and what a CD-ROM drive answers to those that ask for something.

Sources: SFF-8020i and MMC-3.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from manager.devices.ide.state import DriveState

DISC_SECTOR = 2048
TEST_UNIT_READY = 0x00
REQUEST_SENSE = 0x03
INQUIRY = 0x12
MODE_SENSE_6 = 0x1A
START_STOP_UNIT = 0x1B
PREVENT_REMOVAL = 0x1E
READ_CAPACITY = 0x25
READ_10 = 0x28
SEEK_10 = 0x2B
READ_TOC = 0x43
GET_CONFIGURATION = 0x46
GET_EVENT_STATUS = 0x4A
READ_DISC_INFORMATION = 0x51
MODE_SENSE_10 = 0x5A
READ_12 = 0xA8
MECHANISM_STATUS = 0xBD
IN_SPITE_OF_ATTENTION = (INQUIRY, REQUEST_SENSE, GET_EVENT_STATUS)
"""What is carried out although a reset has not been told yet."""
WITHOUT_EFFECT = (TEST_UNIT_READY, START_STOP_UNIT, PREVENT_REMOVAL, SEEK_10)

NO_SENSE, MEDIUM_ERROR, ILLEGAL_REQUEST, UNIT_ATTENTION = 0, 3, 5, 6
INVALID_COMMAND = 0x2000
OUT_OF_RANGE = 0x2100
INVALID_FIELD = 0x2400
WAS_RESET = 0x2900
UNREADABLE = 0x1100

LEAD_OUT = 0xAA


class Answers:
    """What a drive with a disc of `sectors` sectors of 2048 bytes answers."""

    def __init__(self, sectors: int) -> None:
        self._sectors = sectors
        self._by_operation: dict[int, Callable[[bytes], bytes | None]] = {
            INQUIRY: self._inquiry,
            MODE_SENSE_6: lambda packet: self._mode_sense(packet, 4, packet[4]),
            MODE_SENSE_10: lambda packet: self._mode_sense(packet, 8, u16(packet, 7)),
            READ_CAPACITY: lambda _: struct.pack(">II", max(sectors - 1, 0), DISC_SECTOR),
            READ_TOC: self._read_toc,
            GET_CONFIGURATION: self._get_configuration,
            GET_EVENT_STATUS: self._get_event_status,
            READ_DISC_INFORMATION: self._disc_information,
            MECHANISM_STATUS: lambda packet: bytes(8)[: u16(packet, 8)],
        }

    def knows(self, operation: int) -> bool:
        """Whether a command asks for something that is here."""
        return operation == REQUEST_SENSE or operation in self._by_operation

    def to(self, state: DriveState, packet: bytes) -> bytes | None:
        """The answer, no longer than the packet allows; None for a field that makes no sense."""
        if packet[0] != REQUEST_SENSE:
            return self._by_operation[packet[0]](packet)
        if state.attention:
            state.attention = False
            state.sense, state.code = UNIT_ATTENTION, WAS_RESET
        answer = struct.pack(">BxBIB4xH4x", 0x70, state.sense, 0, 10, state.code)
        return answer[: packet[4]]

    def _inquiry(self, packet: bytes) -> bytes:
        answer = struct.pack(
            "4B4x8s16s4s", 0x05, 0x80, 0x00, 0x21, b"vmmgr   ", b"CD-ROM".ljust(16), b"1.0 "
        )
        answer = answer[:4] + bytes([len(answer) - 5]) + answer[5:]
        return answer[: u16(packet, 3)]

    def _mode_sense(self, packet: bytes, header: int, length: int) -> bytes | None:
        page = packet[2] & 0x3F
        pages = {
            0x01: bytes([0x01, 6, 0, 5, 0, 0, 0, 0]),  # error recovery: five retries
            0x2A: bytes([0x2A, 18, 0, 0, 0x71, 0x60, 0x29, 0, 0x02, 0xC2, 0, 2, 0, 0, 0x02, 0xC2])
            + bytes(4),  # capabilities: 4x speed
        }
        if page == 0x3F:
            body = b"".join(pages.values())
        elif page in pages:
            body = pages[page]
        else:
            return None
        total = header + len(body)
        if header == 4:
            return (bytes([total - 1, 0x01, 0, 0]) + body)[:length]
        return (struct.pack(">HB5x", total - 2, 0x01) + body)[:length]

    def _read_toc(self, packet: bytes) -> bytes | None:
        in_minutes, first = bool(packet[1] & 2), packet[6]
        form = packet[2] & 0x0F or packet[9] >> 6
        if form == 1:  # sessions: there is one
            answer = struct.pack(">HBB", 10, 1, 1) + _track(1, 0, in_minutes)
        elif form == 0 and (first <= 1 or first == LEAD_OUT):
            tracks = _track(1, 0, in_minutes) if first <= 1 else b""
            tracks += _track(LEAD_OUT, self._sectors, in_minutes)
            answer = struct.pack(">HBB", len(tracks) + 2, 1, 1) + tracks
        else:
            return None
        return answer[: u16(packet, 7)]

    def _get_configuration(self, packet: bytes) -> bytes:
        # The current profile is CD-ROM; the feature list has the profile list alone.
        features = struct.pack(">HBBHBx", 0x0000, 0x03, 4, 0x0008, 0x01)
        answer = struct.pack(">IxxH", len(features) + 4, 0x0008) + features
        return answer[: u16(packet, 7)]

    def _get_event_status(self, packet: bytes) -> bytes | None:
        if not packet[1] & 1:  # only polling
            return None
        answer = struct.pack(">HBBBB2x", 6, 4, 0x10, 0, 0x02)  # media: no change, present
        return answer[: u16(packet, 7)]

    def _disc_information(self, packet: bytes) -> bytes:
        answer = struct.pack(">HBBBBBB26x", 32, 0x0E, 1, 1, 1, 1, 0x20)
        return answer[: u16(packet, 7)]


def _track(number: int, sector: int, in_minutes: bool) -> bytes:
    place = sector
    if in_minutes:
        minute, rest = divmod(sector + 150, 75 * 60)
        place = minute << 16 | rest // 75 << 8 | rest % 75
    return struct.pack(">xBBxI", 0x14, number, place)


def u16(packet: bytes, at: int) -> int:
    """A big-endian number of 16 bits."""
    return packet[at] << 8 | packet[at + 1]


def u32(packet: bytes, at: int) -> int:
    """A big-endian number of 32 bits."""
    return u16(packet, at) << 16 | u16(packet, at + 2)
