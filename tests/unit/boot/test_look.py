# SPDX-License-Identifier: BSD-2-Clause
"""`validate` refuses what `up` would refuse at once, at its line, and nothing that boots."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.assembler import link
from support.bzimage import FORMS, bzimage, packed

from manager.boot import loader
from manager.boot.errors import BootImageError
from manager.boot.loader import Protocol
from manager.boot.look import refusal
from manager.bus.memory import Memory
from manager.cli.main import main
from manager.graph.build import load_graph
from manager.graph.nodes import Graph

MIB = 1 << 20
HEADER = "\n.balign 8\n.long 0x1BADB002, 0, -0x1BADB002\n"
CODE = "_start: hlt\njmp _start\n.data\n.fill 64, 1, 7\n"
MULTIBOOT = link(HEADER + CODE, MIB)
VMLINUX = link(CODE, MIB, 64)
BIG = link("_start: hlt\n.bss\n.fill 0x2000000\n", MIB, 64)
PC = """schema = 1
memory.size = "16M"
slots.0.device = "hostbridge"
slots.31.device = "lpc"
lpc.com1.backend = "null"
[boot]
"""


def changed(image: bytes, at: int, layout: str, value: int) -> bytes:
    found = bytearray(image)
    struct.pack_into(layout, found, at, value)
    return bytes(found)


def of_limit(limit: int, version: int = 0x20F) -> bytes:
    """A kernel that reads so many bytes of its command line."""
    image = bzimage(b"\xf4", b"\xf4", payload=packed(VMLINUX, "gzip"), version=version)
    return changed(image, 0x238, "<I", limit)


PACKED = bzimage(b"\xf4", b"\xf4", payload=packed(VMLINUX, "xz"))
KERNEL = 'kernel = "file"\n'
CONSOLE = f'{KERNEL}cmdline = "console=ttyS0"\n'
ROM = 'firmware = "file"\n'
FLAT = 'image = "file"\nload = {}\nentry = {}\nbits = {}\n'
REFUSED = {
    "empty kernel": (b"", CONSOLE, 7, "the file is empty"),
    "text as kernel": (b"#!/bin/sh\n", CONSOLE, 7, "neither a Linux bzImage nor"),
    "cut off in its setup": (PACKED[:600], CONSOLE, 7, "cut short"),
    "cut off in its payload": (PACKED[:-20], CONSOLE, 7, "cut short"),
    "32-bit entry, cut off": (
        bzimage(b"\xf4", payload=packed(VMLINUX, "gzip"))[:-20], CONSOLE, 7, "cut short"),
    "ELF cut off": (VMLINUX[:100], CONSOLE, 7, "the ELF file is cut short"),
    "ELF for arm64": (changed(VMLINUX, 18, "<H", 183), CONSOLE, 7, "is for arm64, not for x86"),
    "ELF for s390": (changed(VMLINUX, 4, ">H", 0x0202), CONSOLE, 7, "big-endian"),
    "Image for arm64": (b"MZ".ljust(0x38, b"\0") + b"ARM\x64" + bytes(99), CONSOLE, 7, "for arm64"),
    "Image for RISC-V": (b"MZ".ljust(0x38, b"\0") + b"RSC\x05" + bytes(99), CONSOLE, 7, "RISC-V"),
    "zImage for Arm": (bytes(0x24) + b"\x18\x28\x6f\x01" + bytes(99), CONSOLE, 7, "for Arm"),
    "entry outside": (changed(VMLINUX, 24, "<Q", 0xFFFF0000), CONSOLE, 7, "its entry point"),
    "multiboot's entry outside": (
        changed(MULTIBOOT, 24, "<I", 0xFFFF0000), KERNEL, 7, "its entry point"),
    "larger than RAM": (BIG, CONSOLE, 7, "does not fit into RAM"),
    "larger than RAM once unpacked": (
        bzimage(b"\xf4", b"\xf4", payload=packed(BIG, "zstd")), CONSOLE, 7, "not fit into RAM"),
    "modules with Linux": (PACKED, f'{CONSOLE}modules = ["file a"]\n', 9, "takes no modules"),
    "16-bit entry": (PACKED, f'{CONSOLE}protocol = "linux16"\n', 9, "calls the BIOS"),
    "other protocol": (MULTIBOOT, f'{CONSOLE}protocol = "multiboot2"\n', 7, "Multiboot2"),
    "other mode": (VMLINUX, f'{CONSOLE}protocol = "linux32"\n', 7, "64-bit kernel"),
    "initrd of 20 MiB": (PACKED, f'{CONSOLE}initrd = "large"\n', 9, "does not fit above"),
    "module of 20 MiB": (
        MULTIBOOT, f'{KERNEL}modules = [\n  "file",\n  "large x"]\n', 10, "not fit into RAM"),
    "command line of 256": (of_limit(255), f'{KERNEL}cmdline = "{"c" * 256}"\n', 8, "reads 255"),
    "command line, old": (
        of_limit(4095, 0x205), f'{KERNEL}cmdline = "{"c" * 256}"\n', 8, "reads 255"),
    "command line of a vmlinux": (
        VMLINUX, f'{KERNEL}cmdline = "{"ü" * 1024}"\n', 8, "has 2048 bytes, and this kernel"),
    "empty image": (b"", FLAT.format(0x7C00, 0x7C00, 16), 7, "the file is empty"),
    "image over the end": (
        bytes(MIB), FLAT.format(0xFFF800, 0xFFF800, 32), 7, "does not fit into RAM"),
    "image over a hole": (bytes(MIB), FLAT.format(0x7C00, 0x7C00, 16), 7, "not fit into RAM"),
    "16-bit entry above": (b"\xf4", FLAT.format(0x20000, 0x20000, 16), 9, "starts below"),
    "image over tables": (b"\xf4", FLAT.format(0x1000, 0x1000, 64), 8, "holds the tables of"),
    "empty firmware": (b"", ROM, 7, "0 bytes are not a ROM"),
    "firmware of odd size": (bytes(5000), ROM, 7, "5000 bytes are not a ROM"),
    "firmware of 17 MiB": (bytes(17 * MIB), ROM, 7, "are not a ROM"),
    "firmware with ELF": (bytes(4096), f'{ROM}kernel = "multiboot"\n', 8, "neither a Linux bzIm"),
    "firmware with initrd": (
        bytes(4096), f'{ROM}kernel = "packed"\ninitrd = "large"\n', 9, "do not fit into RAM"),
    "firmware with command line": (
        bytes(4096), f'{ROM}kernel = "packed"\ncmdline = "{"c" * 2048}"\n', 9, "reads 2047"),
}  # fmt: skip


def machine(folder: Path, content: bytes, boot: str) -> Path:
    (folder / "file").write_bytes(content)
    (folder / "multiboot").write_bytes(MULTIBOOT)
    (folder / "packed").write_bytes(PACKED)
    with (folder / "large").open("wb") as file:
        file.truncate(20 * MIB)
    path = folder / "machine.toml"
    path.write_text(PC + boot)
    return path


@pytest.mark.parametrize("case", REFUSED)
def test_what_up_refuses_is_an_error_at_its_line(
    case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content, boot, line, said = REFUSED[case]
    path = machine(tmp_path, content, boot)

    status = main(["validate", str(path)])

    report = capfd.readouterr().out
    assert status == 2
    assert "error[VM073]" in report
    assert said in report
    assert f"machine.toml:{line}:" in report
    assert main(["run", str(path), "--max-time", "1ms"]) == 2
    assert said in capfd.readouterr().err


@pytest.mark.parametrize(
    ("content", "boot"),
    [
        *((bzimage(b"\xf4", b"\xf4", payload=packed(VMLINUX, form)), CONSOLE) for form in FORMS),
        (bzimage(b"\xf4", b"\xf4"), CONSOLE),
        (bzimage(b"\xf4"), CONSOLE),
        (VMLINUX, CONSOLE),
        (MULTIBOOT, f'{KERNEL}modules = ["file a b"]\n'),
        (packed(MULTIBOOT, "gzip"), KERNEL),
        (of_limit(255), f'{KERNEL}cmdline = "console=ttyS0 {"c" * 241}"\n'),
        (b"\xf4", FLAT.format(0x7C00, 0x7C00, 16)),
        (bytes(4096), ROM),
        (bytes(4096), f'{ROM}kernel = "packed"\ncmdline = "console=ttyS0"\n'),
    ],
)
def test_what_boots_is_ok(
    content: bytes, boot: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", str(machine(tmp_path, content, boot))]) == 0
    assert "ok" in capfd.readouterr().out


def test_a_file_that_is_absent_is_told_as_before(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = machine(tmp_path, PACKED, CONSOLE)
    (tmp_path / "file").unlink()
    assert main(["validate", str(path)]) == 2
    assert "error[VM070]" in capfd.readouterr().out


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A kernel with some bytes changed, and perhaps cut off."""
    image = bytearray(draw(st.sampled_from([PACKED, VMLINUX, MULTIBOOT, of_limit(300)])))
    places = st.integers(0, 0x268) | st.integers(0, len(image) - 1)
    values = st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255)
    for at, value in draw(st.lists(st.tuples(places, values), max_size=8)):
        image[min(at, len(image) - 1)] = value
    return bytes(image[: draw(st.none() | st.integers(0, len(image)))])


def boots(graph: Graph) -> bool:
    try:
        loader.load(graph.boot, Memory.blank(graph.memory_size))
    except BootImageError:
        return False
    return True


@settings(max_examples=200)
@given(image=mutated(), protocol=st.none() | st.sampled_from(list(Protocol)))
def test_nothing_that_boots_is_refused(image: bytes, protocol: Protocol | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        boot = CONSOLE if protocol is None else f'{CONSOLE}protocol = "{protocol}"\n'
        graph = load_graph(machine(Path(folder), image, boot))
        if refusal(graph) is not None:
            assert not boots(graph)
