# SPDX-License-Identifier: BSD-2-Clause
"""What kernels are packed with is unpacked; damage is said, never suffered."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bzimage import FORMS, packed
from support.cost import cost

from manager.boot import payload
from manager.boot.errors import BootImageError

CONTENT = b"\x7fELF" + bytes(range(256)) * 200


@pytest.mark.parametrize("form", FORMS)
def test_every_format_is_unpacked(form: str) -> None:
    assert payload.decompress(packed(CONTENT, form)) == CONTENT


def test_large_lz4_payload_is_unpacked_block_by_block() -> None:
    content = bytes(9 << 20) + CONTENT
    assert payload.decompress(packed(content, "lz4")) == content


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"\x89LZO\0\r\n\x1a\n", bytes(64)])
def test_unknown_format_is_left_to_the_kernel(data: bytes) -> None:
    assert payload.decompress(data) is None


@pytest.mark.parametrize("form", FORMS)
def test_damaged_payload_is_refused(form: str) -> None:
    data = bytearray(packed(CONTENT, form))
    data[12 : len(data) - 8] = b"\xff" * (len(data) - 20)
    with pytest.raises(BootImageError, match="damaged"):
        payload.decompress(bytes(data))


@pytest.mark.parametrize("form", FORMS)
def test_truncated_payload_is_refused(form: str) -> None:
    data = packed(CONTENT, form)
    with pytest.raises(BootImageError, match="damaged"):
        payload.decompress(data[: len(data) // 2])


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40)
@given(data=st.data())
def test_no_damage_escapes_as_another_error(form: str, data: st.DataObject) -> None:
    broken = bytearray(packed(CONTENT, form))
    for at in data.draw(st.lists(st.integers(4, len(broken) - 1), max_size=4)):
        broken[at] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(broken)))
    with contextlib.suppress(BootImageError):
        payload.decompress(bytes(broken[:end]))


@pytest.mark.parametrize("form", FORMS)
def test_small_payload_does_not_unpack_to_gigabytes(form: str, tmp_path: Path) -> None:
    bomb = packed(bytes(300 << 20), form)
    (tmp_path / "bomb").write_bytes(bomb)

    spent = cost(
        tmp_path / "bomb",
        "payload.decompress(path.read_bytes())",
        imports="import lz4.block, zstandard; from manager.boot import payload",
    )

    assert spent.memory < 3 * (payload.ALWAYS + payload.MOST_SHRUNK * len(bomb))
    assert "unpacks to more than" in spent.said
