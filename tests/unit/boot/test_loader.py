# SPDX-License-Identifier: BSD-2-Clause
"""What a boot file is, is told from its content; whatever it is, errors are clear."""

from __future__ import annotations

import contextlib
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.assembler import link
from support.booted import boot, write
from support.bzimage import bzimage, packed

from manager.boot import loader
from manager.boot.errors import BootImageError
from manager.boot.loader import Protocol
from manager.bus.memory import Memory
from manager.graph.nodes import FirmwareBoot, ImageBoot, KernelBoot


def words(*numbers: int) -> str:
    return f".balign 8\n.long {', '.join(hex(number & 0xFFFFFFFF) for number in numbers)}\n"


MULTIBOOT = words(0x1BADB002, 0, -0x1BADB002)
MULTIBOOT2 = words(0xE85250D6, 0, 24, -0xE85250D6 - 24, 0, 8)
PVH = """
    .pushsection .note.Xen, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long _start
    .popsection
"""
CODE = "_start: hlt\njmp _start\n.data\n.fill 64, 1, 7\n"
VIRTUAL = ".globl _virtual\n.set _virtual, _start\n"
BASE = 0x100000
VMLINUX = link(CODE, BASE, 64)
FILES = {
    "multiboot": link(MULTIBOOT + CODE, BASE),
    "multiboot2": link(MULTIBOOT2 + CODE, BASE),
    "both multiboots": link(MULTIBOOT + MULTIBOOT2 + CODE, BASE),
    "64-bit multiboot": link(MULTIBOOT + CODE, BASE, 64),
    "vmlinux": VMLINUX,
    "vmlinux with a PVH note": link(PVH + CODE, BASE, 64),
    "32-bit vmlinux": link(CODE, BASE),
    "bzImage": bzimage(b"\xf4", b"\xf4"),
    "packed bzImage": bzimage(b"\xf4", b"\xf4", payload=packed(VMLINUX, "gzip")),
    "32-bit bzImage": bzimage(b"\xf4"),
}


@pytest.mark.parametrize(
    ("file", "protocol"),
    [
        ("multiboot", Protocol.MULTIBOOT),
        ("multiboot2", Protocol.MULTIBOOT2),
        ("both multiboots", Protocol.MULTIBOOT2),
        ("64-bit multiboot", Protocol.MULTIBOOT),
        ("vmlinux", Protocol.LINUX64),
        ("vmlinux with a PVH note", Protocol.LINUX64),
        ("32-bit vmlinux", Protocol.LINUX32),
        ("bzImage", Protocol.LINUX64),
        ("packed bzImage", Protocol.LINUX64),
        ("32-bit bzImage", Protocol.LINUX32),
    ],
)
def test_kernel_is_recognised_by_its_content(file: str, protocol: Protocol) -> None:
    assert loader.recognise(FILES[file]) is protocol


def test_pvh_kernel_with_a_virtual_entry_is_recognised() -> None:
    image = bytearray(FILES["vmlinux with a PVH note"])
    struct.pack_into("<Q", image, 24, 0xFFFFFFFF80001000)
    assert loader.recognise(bytes(image)) is Protocol.PVH


@pytest.mark.parametrize("content", [b"MZ", b"#!/bin/sh\n", bytes(10000)])
def test_file_of_no_known_kind_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    kernel = write(tmp_path / "notes.txt", content)
    with pytest.raises(BootImageError, match=r"notes\.txt: neither a Linux bzImage nor"):
        boot(KernelBoot(kernel))


def test_missing_files_are_named(tmp_path: Path) -> None:
    kernel, missing = write(tmp_path / "kernel", FILES["multiboot"]), tmp_path / "gone"
    for what in (
        KernelBoot(missing),
        KernelBoot(kernel, initrd=missing),
        KernelBoot(kernel, modules=(f"{missing} with arguments",)),
        ImageBoot(missing, 0x7C00, 0x7C00, 16),
    ):
        with pytest.raises(BootImageError) as caught:
            boot(what)
        assert caught.value.message == f"{missing}: No such file or directory"


def test_directory_is_no_kernel(tmp_path: Path) -> None:
    with pytest.raises(BootImageError, match="is a directory, not a regular file"):
        boot(KernelBoot(tmp_path))


def test_firmware_starts_at_the_reset_vector_with_nothing_loaded(tmp_path: Path) -> None:
    memory = Memory.blank(1 << 20)
    state = loader.load(FirmwareBoot(tmp_path / "rom.bin"), memory)
    assert state.cs.base + state.rip == 0xFFFFFFF0
    assert not any(memory.read(0, 0xA0000))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A kernel with some bytes changed, mostly near its start, and perhaps cut off."""
    image = bytearray(draw(st.sampled_from(list(FILES.values()))))
    places = st.integers(0, 0x240) | st.integers(0, len(image) - 1)
    extremes = st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255)
    for at, value in draw(st.lists(st.tuples(places, extremes), max_size=8)):
        image[min(at, len(image) - 1)] = value
    return bytes(image[: draw(st.none() | st.integers(0, len(image)))])


@settings(max_examples=300)
@given(image=mutated() | st.binary(max_size=256), protocol=st.none() | st.sampled_from(Protocol))
def test_no_file_raises_anything_else(image: bytes, protocol: Protocol | None) -> None:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(image)
        with contextlib.suppress(BootImageError):
            what = KernelBoot(Path(file.name), protocol=protocol)
            loader.load(what, Memory.blank(4 << 20))
