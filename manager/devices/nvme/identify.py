# SPDX-License-Identifier: BSD-2-Clause
"""What IDENTIFY and GET LOG PAGE answer.

Source: NVM Express 1.3, sections 5.14 and 5.15.
"""

from __future__ import annotations

import struct

from manager.bus.blocks import SECTOR, Blocks
from manager.devices.nvme.registers import PAGE, VERSION
from manager.version import __version__

CONTROLLER, NAMESPACE, ACTIVE_LIST, DESCRIPTORS = 1, 0, 2, 3
MAX_TRANSFER_SHIFT = 7
"""The largest transfer is 2 to this power pages: 512 KiB."""
_SHIFT = SECTOR.bit_length() - 1


def controller(blocks: Blocks, vendor: int) -> bytes:
    """The identify controller data structure."""
    data = bytearray(PAGE)
    struct.pack_into("<HH", data, 0, vendor, vendor)
    for at, length, text in ((4, 20, blocks.serial), (24, 40, "vmmgr NVMe"), (64, 8, __version__)):
        data[at : at + length] = text.encode("ascii", "replace")[:length].ljust(length)
    data[72] = 6  # recommended arbitration burst
    data[77] = MAX_TRANSFER_SHIFT
    struct.pack_into("<I", data, 80, VERSION)
    data[258], data[259] = 3, 3  # abort and asynchronous event limits, from 0
    data[260], data[261] = 0x03, 0x00  # one firmware slot, read-only
    struct.pack_into("<HH", data, 266, 343, 353)  # K: warning and critical temperature
    data[512], data[513] = 0x66, 0x44  # sizes of queue entries
    struct.pack_into("<IHB", data, 516, 1, 0x000C, 0)  # one namespace; write zeroes, deallocate
    data[525] = 1  # a volatile write cache
    subnqn = f"nqn.2014.08.org.nvmexpress:{vendor:04x}{vendor:04x}{blocks.serial:<20}vmmgr NVMe"
    data[768 : 768 + len(subnqn)] = subnqn.encode("ascii", "replace")
    struct.pack_into("<HHBBBBHH", data, 2048, 900, 0, 0, 0, 0, 0, 0, 0)  # 9 W
    return bytes(data)


def namespace(blocks: Blocks) -> bytes:
    """The identify namespace data structure."""
    data = bytearray(PAGE)
    struct.pack_into("<QQQ", data, 0, *(blocks.sectors,) * 3)
    data[24] = 0x04  # deallocated sectors have a defined content
    data[33] = 0x01  # ... which is zeros
    data[128 + 2] = _SHIFT  # the one sector size
    return bytes(data)


def active_list(after: int) -> bytes:
    """The namespaces with a higher id than `after`."""
    return struct.pack("<I", 1 if after < 1 else 0).ljust(PAGE, b"\0")


def descriptors(blocks: Blocks) -> bytes:
    """The namespace's identification descriptors: an EUI-64 made of the serial."""
    name = blocks.serial.encode("ascii", "replace")[:8].rjust(8, b"\0")
    return (struct.pack("<BBxx", 1, 8) + name).ljust(PAGE, b"\0")


def smart() -> bytes:
    """The SMART log: 300 K, all spare, nothing used."""
    return struct.pack("<BHBBB", 0, 300, 100, 10, 0).ljust(512, b"\0")
