# SPDX-License-Identifier: BSD-2-Clause
"""Flat binaries start where the machine file says, in the mode it says."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from support.assembler import assemble
from support.booted import boot, write

from manager.boot.errors import BootImageError
from manager.graph.nodes import ImageBoot

# In 64-bit mode 48 is a REX prefix, else it decrements EAX: RAX stays 5, or becomes 4.
MODE = bytes.fromhex("b805000000 48 90 e7e9 e6f4 ebfe")
# The same in 16-bit code: MOV AX takes two bytes less.
MODE_16 = bytes.fromhex("31c0 b80500 48 e7e9 e6f4 ebfe")


@pytest.mark.parametrize(("bits", "code", "said"), [(16, MODE_16, 4), (32, MODE, 4), (64, MODE, 5)])
def test_image_runs_in_its_mode(
    tmp_path: Path, bits: Literal[16, 32, 64], code: bytes, said: int
) -> None:
    image = write(tmp_path / "flat.bin", b"\xcc" * 16 + code)
    assert boot(ImageBoot(image, 0x7C00, 0x7C10, bits)).number() == said


def test_image_ends_where_ram_ends(tmp_path: Path) -> None:
    image = write(tmp_path / "flat.bin", assemble("out 0xf4, al\n1: jmp 1b", 0x3FFFFC, 32))
    boot(ImageBoot(image, 0x3FFFFC, 0x3FFFFC, 32))


@pytest.mark.parametrize(
    ("load", "entry", "bits", "complaint"),
    [
        (0x400000, 0x400000, 32, "does not fit into RAM at 0x400000"),
        (0x3FFFFF, 0x3FFFFF, 32, "does not fit into RAM at 0x3fffff"),
        (0x9FFFF, 0x9FFFF, 16, "does not fit into RAM at 0x9ffff"),
        (1 << 63, 0, 64, "does not fit into RAM"),
        (0x10000, 0x10000, 16, "a 16-bit image starts below 0x10000"),
        (0x500, 0x500, 32, "0x500-0x51f holds the tables of 32-bit mode"),
        (0x6FFF, 0x6FFF, 64, "0x500-0x6fff holds the tables of 64-bit mode"),
    ],
)
def test_image_that_cannot_be_there_is_refused_by_name(
    tmp_path: Path, load: int, entry: int, bits: Literal[16, 32, 64], complaint: str
) -> None:
    image = write(tmp_path / "flat.bin", b"\xeb\xfe" * 2)
    with pytest.raises(BootImageError, match=complaint) as caught:
        boot(ImageBoot(image, load, entry, bits))
    assert "flat.bin" in caught.value.message
