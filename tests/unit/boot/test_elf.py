# SPDX-License-Identifier: BSD-2-Clause
"""ELF executables are taken apart, or refused with the reason."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.assembler import link

from manager.boot import elf
from manager.boot.errors import BootImageError

SOURCE = "_start: nop\n.data\n.long 0x11223344\n.bss\n.skip 0x500\n"
BASE = 0x100000


@pytest.mark.parametrize("bits", [32, 64])
def test_segments_carry_the_program_and_its_bss(bits: int) -> None:
    executable = elf.parse(link(SOURCE, BASE, bits))

    assert (executable.bits, executable.entry) == (bits, BASE)
    assert executable.start == BASE
    loaded = b"".join(bytes(segment.data) for segment in executable.segments)
    assert loaded.startswith(b"\x90")
    assert loaded.endswith(struct.pack("<I", 0x11223344))
    assert executable.end >= BASE + len(loaded) + 0x500
    assert executable.contains(executable.end - 1)
    assert not executable.contains(executable.end)


def patched(offset: int, layout: str, value: int) -> bytes:
    image = bytearray(link(SOURCE, BASE, 64))
    struct.pack_into(layout, image, offset, value)
    return bytes(image)


FIRST_PROGRAM = 64


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (b"", "not a little-endian ELF"),
        (b"\x7fELF", "not a little-endian ELF"),
        (patched(4, "B", 3), "not a little-endian ELF"),
        (patched(5, "B", 2), "big-endian"),
        (patched(18, "<H", 183), "for arm64, not for x86"),
        (patched(56, "<H", 0), "nothing to load"),
        (patched(FIRST_PROGRAM, "<I", 4), "nothing to load"),
        (patched(32, "<Q", 1 << 63), "cut short"),
        (patched(32, "<Q", 1 << 20), "cut short"),
        (patched(FIRST_PROGRAM + 8, "<Q", 1 << 63), "segment 0 lies outside the file"),
        (patched(FIRST_PROGRAM + 32, "<Q", 1 << 62), "segment 0 lies outside the file"),
        (patched(FIRST_PROGRAM + 40, "<Q", 1), "segment 0 lies outside the file"),
        (link(SOURCE, BASE)[:40], "cut short"),
        (link(SOURCE, BASE)[:60], "cut short"),
    ],
)
def test_broken_file_is_refused_with_the_reason(image: bytes, complaint: str) -> None:
    with pytest.raises(BootImageError, match=complaint):
        elf.parse(image)


@settings(max_examples=300)
@given(
    bits=st.sampled_from([32, 64]),
    changes=st.lists(st.tuples(st.integers(4, 200), st.integers(0, 255)), max_size=6),
    length=st.integers(0, 1000),
)
def test_mutated_file_raises_nothing_else(
    bits: int, changes: list[tuple[int, int]], length: int
) -> None:
    image = bytearray(link(SOURCE, BASE, bits))
    for at, value in changes:
        image[at] = value
    for read in (
        elf.parse,
        lambda data: list(elf.notes(data)),
        lambda data: elf.sections(data, len),
    ):
        with contextlib.suppress(BootImageError):
            read(bytes(image[: len(image) - length]))
