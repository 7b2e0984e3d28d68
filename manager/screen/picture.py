# SPDX-License-Identifier: BSD-2-Clause
"""A picture, and PNG files of it.

Source: Portable Network Graphics specification (W3C, 2003).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from manager.lazy import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER = struct.Struct(">IIBBBBB")
RGB, EIGHT_BITS = 2, 8
LEVEL = 6
MOST = 1 << 26
"""Bytes of the pixels of a picture that is read, at most."""


@dataclass(frozen=True, slots=True)
class Picture:
    """`pixels` are rows from the top, each of `width` times red, green, blue."""

    width: int
    height: int
    pixels: bytes

    def png(self) -> bytes:
        """As a PNG file. Equal pictures are equal files with one version of zlib."""
        row = 3 * self.width
        starts = range(0, len(self.pixels), row)
        lines = b"".join(b"\0" + self.pixels[at : at + row] for at in starts)
        header = HEADER.pack(self.width, self.height, EIGHT_BITS, RGB, 0, 0, 0)
        parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, LEVEL)), (b"IEND", b""))
        return SIGNATURE + b"".join(_chunk(kind, content) for kind, content in parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def read_png(content: bytes) -> Picture:
    """The picture in a PNG file that `Picture.png` wrote. Raises ValueError for another."""
    chunks = dict(_chunks(content))
    try:
        width, height, *kind = HEADER.unpack(chunks[b"IHDR"])
        if kind != [EIGHT_BITS, RGB, 0, 0, 0] or 3 * width * height > MOST:
            raise ValueError("it has another kind of pixels than vmmgr writes")
        unpacker = zlib.decompressobj()
        lines = unpacker.decompress(chunks[b"IDAT"], (3 * width + 1) * height + 1)
    except (KeyError, struct.error, zlib.error):
        raise ValueError("it is damaged, or no PNG file") from None
    row = 3 * width + 1
    if len(lines) != row * height or any(lines[::row]):
        raise ValueError("its rows are not as vmmgr writes them")
    pixels = b"".join(lines[at + 1 : at + row] for at in range(0, len(lines), row))
    return Picture(width, height, pixels)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while content.startswith(SIGNATURE) and at + 8 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        yield content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        at += 12 + length
