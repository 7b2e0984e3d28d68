# SPDX-License-Identifier: BSD-2-Clause
"""The symbols of an ELF file name addresses; one that is wrong costs no time and no memory."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.assembler import link

from manager.boot.errors import BootImageError
from manager.boot.symbols import FARTHEST, LONGEST, MOST, Symbols

SOURCE = """
_start: nop
        nop
        .type   work, @function
work:   nop
.data
value:  .long   0
"""
BASE = 0x100000
ROW = struct.Struct("<IIQQQQI")
"""A section header up to its link; 64 bytes with the rest."""
SYMTAB = 2


@pytest.mark.parametrize("bits", [32, 64])
def test_an_address_has_the_name_of_what_it_is_in(bits: int) -> None:
    symbols = Symbols(link(SOURCE, BASE, bits))

    assert symbols.name(BASE) == "_start"
    assert symbols.name(BASE + 1) == "_start+0x1"
    assert symbols.name(BASE + 2) == "work"
    assert symbols.name(BASE - 1) == ""
    assert symbols.name(BASE + FARTHEST // 2).startswith(("value+", "_", "work+"))
    assert symbols.name(BASE + 2 * FARTHEST + 0x10000) == ""
    assert symbols.name(1 << 64) == ""


def test_a_file_without_symbols_has_no_names() -> None:
    image = bytearray(link(SOURCE, BASE, 64))
    struct.pack_into("<H", image, 60, 0)  # number of sections

    symbols = Symbols(bytes(image))

    assert len(symbols) == 0
    assert symbols.name(BASE) == ""


@pytest.mark.parametrize("image", [b"", b"\x7fELF", b"MZ" + bytes(200), b"#!/bin/sh\n"])
def test_what_is_no_elf_file_is_refused(image: bytes) -> None:
    with pytest.raises(BootImageError):
        Symbols(image)


def with_symtab(offset: int | None = None, size: int | None = None, link_to: int = -1) -> bytes:
    """An ELF file whose symbol table's header says something else."""
    image = bytearray(link(SOURCE, BASE, 64))
    (sections,) = struct.unpack_from("<Q", image, 40)
    at = sections
    while struct.unpack_from("<I", image, at + 4)[0] != SYMTAB:
        at += 64
    row = list(ROW.unpack_from(image, at))
    row[4] = row[4] if offset is None else offset
    row[5] = row[5] if size is None else size
    row[6] = row[6] if link_to < 0 else link_to
    ROW.pack_into(image, at, *row)
    return bytes(image)


@pytest.mark.parametrize(
    "image",
    [
        with_symtab(offset=(1 << 64) - 1),
        with_symtab(size=(1 << 64) - 1),
        with_symtab(size=7),
        with_symtab(link_to=60_000),
        with_symtab(link_to=0),
    ],
)
def test_a_table_that_is_elsewhere_has_no_names(image: bytes) -> None:
    assert len(Symbols(image)) == 0


def test_a_name_without_an_end_is_cut() -> None:
    header = bytearray(link(SOURCE, BASE, 64))
    start = len(header)
    names = start + 24
    table = struct.pack("<IBBHQQ", 1, 2, 0, 1, BASE, 0)
    struct.pack_into("<Q", header, 40, names + (1 << 20))
    struct.pack_into("<H", header, 60, 2)
    rows = ROW.pack(0, SYMTAB, 0, 0, start, 24, 1) + bytes(64 - ROW.size)
    rows += ROW.pack(0, 3, 0, 0, names, 1 << 20, 0) + bytes(64 - ROW.size)

    symbols = Symbols(bytes(header) + table + b"\0" + b"a" * ((1 << 20) - 1) + rows)

    assert symbols.name(BASE) == "a" * LONGEST


def test_one_table_is_read_and_only_to_a_limit() -> None:
    header = bytearray(link(SOURCE, BASE, 64))
    start = len(header)
    size = 24 * (MOST + 1)
    struct.pack_into("<Q", header, 40, start + size)
    struct.pack_into("<H", header, 60, 0xFFFF)  # as many tables, all of them the same one
    row = ROW.pack(0, SYMTAB, 0, 0, start, size, 0) + bytes(64 - ROW.size)

    with pytest.raises(BootImageError, match=f"{MOST} are the most"):
        Symbols(bytes(header) + bytes(size) + row * 0xFFFF)

    row = ROW.pack(0, SYMTAB, 0, 0, start, 24 * 1000, 0) + bytes(64 - ROW.size)
    assert len(Symbols(bytes(header) + bytes(size) + row * 0xFFFF)) == 0


@settings(max_examples=300)
@given(data=st.data())
def test_a_damaged_file_is_refused_or_read(data: st.DataObject) -> None:
    image = bytearray(link(SOURCE, BASE, data.draw(st.sampled_from([32, 64]))))
    for _ in range(data.draw(st.integers(1, 8))):
        image[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(image)))

    with contextlib.suppress(BootImageError):
        Symbols(bytes(image[:cut])).name(BASE + 1)
