# SPDX-License-Identifier: BSD-2-Clause
"""Making files in the form of Linux kernels."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct

import lz4.block
import zstandard

PREFERRED = 0x200000
LZ4_BLOCK = 8 << 20


def bzimage(
    code_32: bytes = b"",
    code_64: bytes | None = None,
    *,
    payload: bytes = b"",
    version: int = 0x20F,
    flags: int = 1,
    ramdisk_max: int = 0x7FFFFFFF,
    preferred: int = PREFERRED,
    init_size: int = 0x10000,
    release: bytes = b"6.1.0 (builder) #1",
    code_32_start: int = 0x100000,
) -> bytes:
    """A bzImage that is entered at `code_32`, or at `code_64` if it has that."""
    body = code_32.ljust(0x200, b"\x90") + (code_64 or b"")
    setup = bytearray(1024)
    setup[0x1F1] = 1
    struct.pack_into("<H", setup, 0x1FE, 0xAA55)
    setup[0x200:0x206] = b"\xeb\x66HdrS"
    struct.pack_into("<H", setup, 0x206, version)
    struct.pack_into("<H", setup, 0x20E, 0x300 - 0x200)
    setup[0x300 : 0x300 + len(release)] = release
    setup[0x211] = flags
    struct.pack_into("<I", setup, 0x214, code_32_start)
    struct.pack_into("<I", setup, 0x22C, ramdisk_max)
    struct.pack_into("<H", setup, 0x236, int(code_64 is not None))
    struct.pack_into("<II", setup, 0x248, len(body), len(payload))
    struct.pack_into("<QI", setup, 0x258, preferred, init_size)
    return bytes(setup) + body + payload


def packed(data: bytes, form: str) -> bytes:
    """A kernel's payload: compressed as its build would, most with their length behind."""
    length = struct.pack("<I", len(data))
    match form:
        case "gzip":
            return gzip.compress(data, mtime=0)
        case "bzip2":
            return bz2.compress(data) + length
        case "lzma":
            return lzma.compress(data, lzma.FORMAT_ALONE) + length
        case "xz":
            return lzma.compress(data, lzma.FORMAT_XZ, check=lzma.CHECK_CRC32) + length
        case "zstd":
            return zstandard.ZstdCompressor().compress(data) + length
        case "lz4":
            blocks = [data[at : at + LZ4_BLOCK] for at in range(0, len(data), LZ4_BLOCK)]
            parts = (lz4.block.compress(block, store_size=False) for block in blocks)
            content = b"".join(struct.pack("<I", len(part)) + part for part in parts)
            return b"\x02\x21\x4c\x18" + content + length
    raise ValueError(form)


FORMS = ("gzip", "bzip2", "lzma", "xz", "zstd", "lz4")
