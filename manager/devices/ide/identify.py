# SPDX-License-Identifier: BSD-2-Clause
"""The 512 bytes by which a drive identifies itself: 256 words, numbered as the standard does.

Source: ATA/ATAPI-6 (T13/1410D), sections 8.15 and 8.16.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from manager.bus.blocks import Blocks
from manager.devices.ide.state import MOST_MULTIPLE, DriveState
from manager.version import __version__

_HEADS, _TRACK, _MOST_CYLINDERS = 16, 63, 16383
_LIMIT_28 = 0x0FFF_FFFF


def geometry(sectors: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors to a track, as drives of any size tell them."""
    return max(1, min(_MOST_CYLINDERS, sectors // (_HEADS * _TRACK))), _HEADS, _TRACK


def identify_disk(blocks: Blocks, state: DriveState) -> bytes:
    """What IDENTIFY DEVICE answers."""
    cylinders, heads, track = geometry(blocks.sectors)
    cylinder = max(1, state.heads * state.track)
    now_cylinders = max(1, min(0xFFFF, blocks.sectors // cylinder))
    now = now_cylinders * cylinder
    words = {
        0: 0x0040,  # a fixed disk
        1: cylinders,
        3: heads,
        6: track,
        47: 0x8000 | MOST_MULTIPLE,
        48: 1,  # the data register takes 32 bits at a time
        49: 0x0B00,  # LBA, DMA, IORDY
        50: 0x4000,
        51: 0x0200,
        53: 0x0007,  # words 54-58, 64-70 and 88 are valid
        54: now_cylinders,
        55: state.heads,
        56: state.track,
        57: now & 0xFFFF,
        58: now >> 16,
        59: 0x0100 | state.multiple if state.multiple else 0,
        60: min(blocks.sectors, _LIMIT_28) & 0xFFFF,
        61: min(blocks.sectors, _LIMIT_28) >> 16,
        63: 0x0007,  # multiword DMA modes 0-2
        64: 0x0003,  # PIO modes 3 and 4
        **dict.fromkeys((65, 66, 67, 68), 120),  # ns of a cycle
        80: 0x00F0,  # ATA-4 to ATA-7
        82: 0x4020,  # a write cache; NOP
        83: 0x7400,  # flushes, 48-bit addresses
        84: 0x4000,
        85: 0x4020,
        86: 0x3400,
        87: 0x4000,
        88: 0x203F,  # Ultra DMA modes 0-5, mode 5 selected
        93: 0x6001,  # an 80-conductor cable
        **{100 + n: blocks.sectors >> 16 * n & 0xFFFF for n in range(4)},
    }
    return _packed(words, blocks.serial, "vmmgr disk")


def identify_cdrom(serial: str) -> bytes:
    """What IDENTIFY PACKET DEVICE answers."""
    words = {
        0: 0x85C0,  # a removable CD-ROM, 12-byte packets, DRQ within 50 us
        49: 0x0B00,
        50: 0x4000,
        53: 0x0003,
        63: 0x0007,
        64: 0x0003,
        **dict.fromkeys((65, 66, 67, 68), 120),
        80: 0x0070,
        82: 0x4010,  # the packet feature set
        83: 0x4000,
        84: 0x4000,
        85: 0x4010,
        87: 0x4000,
    }
    return _packed(words, serial, "vmmgr CD-ROM")


def _packed(words: Mapping[int, int], serial: str, model: str) -> bytes:
    data = bytearray(512)
    for number, value in words.items():
        struct.pack_into("<H", data, 2 * number, value)
    for at, length, text in ((10, 20, serial), (23, 8, __version__), (27, 40, model)):
        field = text.encode("ascii", "replace")[:length].ljust(length)
        # The first character of each pair is in the high byte.
        data[2 * at : 2 * at + length] = b"".join(
            field[n + 1 : n + 2] + field[n : n + 1] for n in range(0, length, 2)
        )
    return bytes(data)
