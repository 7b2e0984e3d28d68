# SPDX-License-Identifier: BSD-2-Clause
"""Decompressing a Linux kernel's payload on the host, which is faster than in the guest.

The formats and their magic numbers: Linux, scripts/Makefile.lib and lib/decompress.c. All but
gzip carry four more bytes, the length, behind the compressed data.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib

from manager.boot.errors import BootImageError

LIMIT = 1 << 30
"""No kernel is larger; a file that says so is broken."""
ALWAYS = 64 << 20
MOST_SHRUNK = 32
"""Nor is any compressed to less than a 32nd, once it is larger than ALWAYS."""
LZMA_MEMORY = 512 << 20
ZSTD_WINDOW = 128 << 20
"""What `xz -9e` and `zstd -22 --ultra`, which kernels are built with, need at most."""
ZSTD_STEP = 256
"""Bytes fed at a time, which make 8 MiB at most."""
LZ4_LEGACY_MAGIC = b"\x02\x21\x4c\x18"
OTHERS = {
    b"\x04\x22\x4d\x18": "lz4",
    LZ4_LEGACY_MAGIC: "lz4",
    b"\x89LZO": "lzop",
    b"PK\x03\x04": "zip",
    b"\x1f\x9d": "compress",
}
"""What a whole file may be packed by and is not unpacked here; a payload of lz4's is."""
LZ4_BLOCK = 8 << 20
"""Every block but the last holds this much (lz4, doc/lz4_Frame_format.md, legacy frame)."""


def decompress(payload: bytes) -> bytes | None:
    """The payload's content, or None when its format is not one that the host knows.

    Raises BootImageError when the data is damaged.
    """
    limit = min(LIMIT, ALWAYS + MOST_SHRUNK * len(payload))
    try:
        if payload.startswith(b"\x1f\x8b"):
            gzip = zlib.decompressobj(wbits=31)
            return _whole(gzip.decompress(payload, limit), gzip.eof, limit)
        if payload.startswith((b"\xfd7zXZ\x00", b"\x5d\x00\x00")):
            xz = lzma.LZMADecompressor(memlimit=LZMA_MEMORY)
            return _whole(xz.decompress(payload, limit), xz.eof, limit)
        if payload.startswith(b"BZh"):
            bzip2 = bz2.BZ2Decompressor()
            return _whole(bzip2.decompress(payload, limit), bzip2.eof, limit)
        if payload.startswith(b"\x28\xb5\x2f\xfd"):
            return _zstd(payload, limit)
        if payload.startswith(LZ4_LEGACY_MAGIC):
            return _lz4(payload[:-4], limit)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, struct.error) as error:
        raise BootImageError(f"the compressed kernel is damaged: {error}") from error
    return None


def beginning(payload: bytes, size: int) -> bytes | None:
    """The first bytes of what is packed, from its first bytes; None as for `decompress`.

    Raises BootImageError.
    """
    try:
        if payload.startswith(b"\x1f\x8b"):
            return zlib.decompressobj(wbits=31).decompress(payload, size)
        if payload.startswith((b"\xfd7zXZ\x00", b"\x5d\x00\x00")):
            return lzma.LZMADecompressor(memlimit=LZMA_MEMORY).decompress(payload, size)
        if payload.startswith(b"BZh"):
            return bz2.BZ2Decompressor().decompress(payload, size)
        if payload.startswith(b"\x28\xb5\x2f\xfd"):
            return _zstd_beginning(payload, size)
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise BootImageError(f"the compressed kernel is damaged: {error}") from error
    return None


def _whole(data: bytes, ended: bool, limit: int) -> bytes:
    _check_size(len(data), limit)
    if not ended:
        raise BootImageError("the compressed kernel is damaged: it is cut short")
    return data


def _check_size(size: int, limit: int) -> None:
    if size >= limit:
        raise BootImageError(f"the compressed kernel unpacks to more than {limit >> 20} MiB")


def _zstd(payload: bytes, limit: int) -> bytes:
    import zstandard

    stream = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()
    blocks, total = [], 0
    try:
        for at in range(0, len(payload), ZSTD_STEP):
            blocks.append(stream.decompress(payload[at : at + ZSTD_STEP]))
            total += len(blocks[-1])
            if stream.eof:
                break
            _check_size(total, limit)
        return _whole(b"".join(blocks), stream.eof, limit)
    except zstandard.ZstdError as error:
        raise BootImageError(f"the compressed kernel is damaged: {error}") from error


def _zstd_beginning(payload: bytes, size: int) -> bytes:
    import zstandard

    stream = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()
    found = b""
    try:
        for at in range(0, len(payload), ZSTD_STEP):
            found += stream.decompress(payload[at : at + ZSTD_STEP])
            if len(found) >= size:
                break
    except zstandard.ZstdError as error:
        raise BootImageError(f"the compressed kernel is damaged: {error}") from error
    return found[:size]


def _lz4(payload: bytes, limit: int) -> bytes:
    import lz4.block

    blocks, at, total = [], len(LZ4_LEGACY_MAGIC), 0
    while at < len(payload):
        (length,) = struct.unpack_from("<I", payload, at)
        at += 4
        try:
            block = lz4.block.decompress(payload[at : at + length], uncompressed_size=LZ4_BLOCK)
        except lz4.block.LZ4BlockError as error:
            raise BootImageError(f"the compressed kernel is damaged: {error}") from error
        blocks.append(block)
        at += length
        total += len(block)
        _check_size(total, limit)
    return _whole(b"".join(blocks), ended=True, limit=limit)
