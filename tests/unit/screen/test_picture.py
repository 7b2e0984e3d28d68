# SPDX-License-Identifier: BSD-2-Clause
"""PNG files, read again here and by another reader."""

from __future__ import annotations

import struct
import zlib

import pytest

from manager.screen.picture import Picture, read_png

PICTURE = Picture(3, 2, bytes(range(18)))


def test_a_picture_comes_back_from_its_file() -> None:
    assert read_png(PICTURE.png()) == PICTURE


def test_the_file_is_what_the_specification_says() -> None:
    content = PICTURE.png()

    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert content[8:33] == struct.pack(
        ">I4sIIBBBBBI", 13, b"IHDR", 3, 2, 8, 2, 0, 0, 0, zlib.crc32(content[12:29])
    )
    (length,) = struct.unpack(">I", content[33:37])
    assert zlib.decompress(content[41 : 41 + length]) == (
        b"\0" + bytes(range(9)) + b"\0" + bytes(range(9, 18))
    )
    assert content.endswith(b"\0\0\0\0IEND\xae\x42\x60\x82")


@pytest.mark.parametrize(
    "content",
    [b"", b"GIF89a", PICTURE.png()[:40], PICTURE.png().replace(b"\x08\x02\0", b"\x10\x02\0", 1)],
)
def test_another_file_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"PNG|pixels"):
        read_png(content)
