# SPDX-License-Identifier: BSD-2-Clause
"""Put GRUB and one file system on a disk that a BIOS boots: `grub_disk.py CORE BOOT FS OUTPUT`.

CORE is what grub-mkimage makes, BOOT is GRUB's boot.img, FS an image of a file system. The disk
has an MBR with one partition, from 1 MiB on; GRUB is in the gap before it, where grub-install
would put it. Neither a loop device nor root rights are needed.

Layout of the sectors: GRUB's boot.S and diskboot.S, and the classic MBR.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

SECTOR = 512
GAP_END = 2048
"""Sectors before the partition: 1 MiB, as everything aligns it today."""
TABLE, SIGNATURE = 0x1BE, 0x1FE
ACTIVE, LINUX = 0x80, 0x83
CHS_BEYOND = b"\xfe\xff\xff"
"""What stands for a place that cylinders, heads and sectors cannot name."""
CORE_SECTOR = 0x5C
"""In boot.img, 64 bits: the first sector of the core."""
BLOCK_LIST = SECTOR - 12
"""In the core's first sector: where the rest is (64 bits), its sectors (16), its segment (16)."""


def master_boot_record(boot: bytes, sectors: int, core_at: int = 1) -> bytes:
    """GRUB's first sector, which loads the core from `core_at`, with one partition."""
    record = bytearray(boot[:SECTOR].ljust(SECTOR, b"\0"))
    struct.pack_into("<Q", record, CORE_SECTOR, core_at)
    entry = struct.pack("<B3sB3sII", ACTIVE, CHS_BEYOND, LINUX, CHS_BEYOND, GAP_END, sectors)
    record[TABLE:SIGNATURE] = entry.ljust(SIGNATURE - TABLE, b"\0")
    record[SIGNATURE:] = b"\x55\xaa"
    return bytes(record)


def placed(core: bytes, at: int) -> bytes:
    """The core, with its first sector saying that the rest follows it from sector `at` on."""
    found = bytearray(core)
    struct.pack_into("<Q", found, BLOCK_LIST, at + 1)
    return bytes(found)


def main() -> None:
    """Read the files named on the command line, write the last."""
    core, boot, system, output = map(Path, sys.argv[1:])
    code = core.read_bytes()
    if len(code) > (GAP_END - 1) * SECTOR:
        sys.exit(f"{core}: {len(code)} bytes do not fit before the partition")
    with output.open("wb") as disk:
        disk.write(master_boot_record(boot.read_bytes(), system.stat().st_size // SECTOR))
        disk.write(placed(code, 1))
    # cp keeps the holes of the file system, and makes new ones.
    os.truncate(output, GAP_END * SECTOR)
    copy_sparse(system, output)


def copy_sparse(source: Path, target: Path) -> None:
    """Append `source` to `target`; zeros become holes."""
    step = 1 << 20
    with source.open("rb") as file, target.open("r+b") as disk:
        disk.seek(0, os.SEEK_END)
        start = disk.tell()
        while piece := file.read(step):
            if piece.count(0) == len(piece):
                disk.seek(len(piece), os.SEEK_CUR)
            else:
                disk.write(piece)
        disk.truncate(start + source.stat().st_size)


if __name__ == "__main__":
    main()
