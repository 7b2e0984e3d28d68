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
LZ4_LEGACY_MAGIC = b"\x02\x21\x4c\x18"
LZ4_BLOCK = 8 << 20
"""Every block but the last holds this much (lz4, doc/lz4_Frame_format.md, legacy frame)."""


def decompress(payload: bytes) -> bytes | None:
    """The payload's content, or None when its format is not one that the host knows.

    Raises BootImageError when the data is damaged.
    """
    try:
        if payload.startswith(b"\x1f\x8b"):
            gzip = zlib.decompressobj(wbits=31)
            return _whole(gzip.decompress(payload, LIMIT), gzip.eof)
        if payload.startswith((b"\xfd7zXZ\x00", b"\x5d\x00\x00")):
            xz = lzma.LZMADecompressor()
            return _whole(xz.decompress(payload, LIMIT), xz.eof)
        if payload.startswith(b"BZh"):
            bzip2 = bz2.BZ2Decompressor()
            return _whole(bzip2.decompress(payload, LIMIT), bzip2.eof)
        if payload.startswith(b"\x28\xb5\x2f\xfd"):
            return _zstd(payload)
        if payload.startswith(LZ4_LEGACY_MAGIC):
            return _lz4(payload[:-4])
    except (zlib.error, lzma.LZMAError, OSError, EOFError, struct.error) as error:
        raise BootImageError(f"the compressed kernel is damaged: {error}") from error
    return None


def _whole(data: bytes, ended: bool) -> bytes:
    if len(data) >= LIMIT:
        raise BootImageError("the compressed kernel is too large")
    if not ended:
        raise BootImageError("the compressed kernel is damaged: it is cut short")
    return data


def _zstd(payload: bytes) -> bytes:
    import zstandard

    try:
        stream = zstandard.ZstdDecompressor().decompressobj()
        return _whole(stream.decompress(payload), stream.eof)
    except zstandard.ZstdError as error:
        raise BootImageError(f"the compressed kernel is damaged: {error}") from error


def _lz4(payload: bytes) -> bytes:
    import lz4.block

    blocks, at = [], len(LZ4_LEGACY_MAGIC)
    while at < len(payload):
        (length,) = struct.unpack_from("<I", payload, at)
        at += 4
        try:
            blocks.append(
                lz4.block.decompress(payload[at : at + length], uncompressed_size=LZ4_BLOCK)
            )
        except lz4.block.LZ4BlockError as error:
            raise BootImageError(f"the compressed kernel is damaged: {error}") from error
        at += length
    return b"".join(blocks)
