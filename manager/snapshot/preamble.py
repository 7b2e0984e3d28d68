# SPDX-License-Identifier: BSD-2-Clause
"""The first 128 bytes of `snapshot.vmms`, whose layout no version will ever change."""

from __future__ import annotations

import struct
import zlib

from manager.lazy import dataclass

MAGIC = b"\x89VMMS\r\n\x1a"
"""Not ASCII, and damaged by any transfer that rewrites line ends."""
MAJOR = 1
"""Goes up when an older reader could misread the file."""
MINOR = 1
"""Goes up when something is added that an older reader can pass over."""
SIZE = 128
BYTE_ORDER = 0x01020304
WRITER_BYTES = 32

_LAYOUT = struct.Struct("<8sHHIQQ32sQ32s20s")
_CRC = struct.Struct("<I")


class PreambleError(ValueError):
    """Not a preamble, or a damaged one; `offset` is the field at fault."""

    def __init__(self, fault: str, offset: int) -> None:
        super().__init__(fault)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Preamble:
    """Where the manifest is, and what it must hash to."""

    manifest_offset: int
    manifest_length: int
    manifest_hash: bytes
    """BLAKE3, 32 bytes."""
    file_length: int
    writer: str
    """Version of the vmmgr that wrote the file; ASCII, at most 32 characters."""
    major: int = MAJOR
    minor: int = MINOR

    def pack(self) -> bytes:
        """The 128 bytes."""
        body = _LAYOUT.pack(
            MAGIC,
            self.major,
            self.minor,
            BYTE_ORDER,
            self.manifest_offset,
            self.manifest_length,
            self.manifest_hash,
            self.file_length,
            self.writer.encode("ascii", "replace")[:WRITER_BYTES],
            b"",
        )
        return body + _CRC.pack(zlib.crc32(body))


def parse(data: bytes) -> Preamble:
    """Read a preamble of any version; raises PreambleError if it is not one or is damaged.

    Says nothing about whether this vmmgr can read the rest.
    """
    if data[: len(MAGIC)] != MAGIC:
        found = data[: len(MAGIC)].hex(" ") or "nothing"
        raise PreambleError(f"not a snapshot: expected {MAGIC.hex(' ')}, found {found}", 0)
    if len(data) < SIZE:
        raise PreambleError(f"the preamble has {len(data)} bytes instead of {SIZE}", len(data))
    body, (stored,) = data[: _LAYOUT.size], _CRC.unpack_from(data, _LAYOUT.size)
    if (computed := zlib.crc32(body)) != stored:
        raise PreambleError(
            f"the preamble is damaged: expected CRC32 {stored:#010x}, got {computed:#010x}",
            _LAYOUT.size,
        )
    _, major, minor, order, at, length, digest, total, writer, _ = _LAYOUT.unpack(body)
    if order != BYTE_ORDER:
        raise PreambleError(f"the byte order mark is {order:#010x}, not {BYTE_ORDER:#010x}", 12)
    return Preamble(
        at, length, digest, total, writer.rstrip(b"\0").decode("ascii", "replace"), major, minor
    )
