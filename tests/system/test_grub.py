# SPDX-License-Identifier: BSD-2-Clause
"""Debian's GRUB, started by Debian's firmware, loads a kernel that we wrote (multiboot2.s)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from support.assembler import link
from support.debian import package
from support.grub import Platform, grub
from support.suite import GUESTS
from support.vmmgr import Vmmgr

MIB = 1 << 20
RAM = 256 * MIB
KERNEL_BASE = 0x200000
BOOT_MAGIC = "36d76289"
CR0_PG, CR0_PE = 1 << 31, 1 << 0
FLAG_IF = 0x200
AVAILABLE = 1
TAG_EFI_SYSTEM_TABLE_64 = 0x0C
PASSED = 1
"""The exit status of a guest that ends with 0: (0 << 1) | 1."""

FIRMWARE: dict[Platform, Path] = {
    "i386-pc": Path("seabios/usr/share/seabios/bios-256k.bin"),
    "x86_64-efi": Path("ovmf/usr/share/ovmf/OVMF.fd"),
}
MACHINE = """
schema = 1
[memory]
size = "256M"
[clock]
mode = "virtual"
[boot]
firmware = "{firmware}"
kernel = "grub"
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[slots.4]
device = "uart"
backend = {{ type = "file", path = "pci.txt" }}
[lpc.com1]
backend = "stdio"
[lpc.com2]
backend = {{ type = "file", path = "com2.txt" }}
[lpc.debug-exit]
port = 0xf4
"""
CONSOLE = """
serial --unit={unit}
terminal_input serial
terminal_output serial
echo "I am $grub_cpu-$grub_platform"
"""
LOAD = """
multiboot2 /boot/kernel.elf colour=blue "two words"
module2 /boot/poem.txt first verse
boot
"""


def machine(folder: Path, platform: Platform, configuration: str) -> Path:
    """A machine file of a PC whose firmware starts GRUB."""
    name, *rest = FIRMWARE[platform].parts
    files = {
        "grub/grub.cfg": configuration.encode(),
        "kernel.elf": link((GUESTS / "multiboot2.s").read_text(), KERNEL_BASE),
        "poem.txt": b"roses are red",
    }
    (folder / "grub").write_bytes(grub(platform, files))
    file = folder / "pc.toml"
    file.write_text(MACHINE.format(firmware=package(name).joinpath(*rest)))
    return file


@dataclass(frozen=True, slots=True)
class Booted:
    """What came of a run: all that its consoles got."""

    platform: Platform
    com1: str
    com2: str
    pci: str


@dataclass(frozen=True, slots=True)
class Report:
    """What the kernel told."""

    lines: list[str]

    @classmethod
    def of(cls, output: str) -> Report:
        _, found, report = output.replace("\r", "").rpartition("magic ")
        assert found, output
        return cls(f"{found}{report}".splitlines())

    def told(self, name: str) -> str:
        """The only line that begins so, without its beginning."""
        (line,) = (line for line in self.lines if line.startswith(f"{name} "))
        return line.removeprefix(f"{name} ")

    def number(self, name: str) -> int:
        return int(self.told(name), 16)

    @property
    def tags(self) -> set[int]:
        """The types of those tags that the kernel knows nothing of."""
        return {int(line[4:], 16) for line in self.lines if line.startswith("tag ")}

    @property
    def memory(self) -> list[tuple[int, int, int]]:
        """Base, end and type of each range."""
        ranges = [line.split()[1:] for line in self.lines if line.startswith("memory ")]
        numbers = [[int(word, 16) for word in words] for words in ranges]
        return [(base, base + length, kind) for base, length, kind in numbers]


@pytest.fixture(scope="module", params=["i386-pc", "x86_64-efi"])
def booted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Booted:
    """A kernel that GRUB has loaded, on either firmware; GRUB talks on COM2, the kernel on COM1."""
    folder = tmp_path_factory.mktemp("grub")
    file = machine(folder, request.param, CONSOLE.format(unit=1) + LOAD)
    com1 = Vmmgr(folder)("run", file, status=PASSED).stdout
    com2, pci = ((folder / name).read_text(errors="replace") for name in ("com2.txt", "pci.txt"))
    return Booted(request.param, com1, com2, pci)


def test_kernel_gets_from_grub_what_multiboot_2_promises(booted: Booted) -> None:
    report = Report.of(booted.com1)

    assert report.lines[-1] == "end"
    assert report.told("magic") == BOOT_MAGIC
    assert report.number("cr0") & (CR0_PG | CR0_PE) == CR0_PE
    assert not report.number("flags") & FLAG_IF
    assert report.told("command line:") == 'colour=blue "two words"'
    assert report.told("loader:").startswith("GRUB 2.")
    assert report.told("module") == "first verse: roses are red"
    assert "acpi RSD PTR " in report.lines
    assert (TAG_EFI_SYSTEM_TABLE_64 in report.tags) == (booted.platform == "x86_64-efi")


def test_memory_map_that_firmware_gives_grub_and_grub_the_kernel(booted: Booted) -> None:
    ranges = sorted(Report.of(booted.com1).memory)

    available = [(base, end) for base, end, kind in ranges if kind == AVAILABLE]
    assert all(base < end for base, end, _ in ranges)
    assert all(one[1] <= other[0] for one, other in pairwise(ranges))
    assert any(base <= KERNEL_BASE < end for base, end in available)
    assert available[0][0] == 0
    assert available[-1][1] <= RAM
    assert sum(end - base for base, end in available) > RAM - 20 * MIB


def test_each_console_has_what_was_sent_there(booted: Booted) -> None:
    assert "Welcome to GRUB" in booted.com1  # firmware's console, the only one until then
    assert BOOT_MAGIC in booted.com1
    assert f"I am {booted.platform}" in booted.com2
    # OVMF has its console on the PCI uart too, SeaBIOS has not.
    assert ("Welcome to GRUB" in booted.pci) == (booted.platform == "x86_64-efi")
    for elsewhere in (booted.com1, booted.pci):
        assert "I am" not in elsewhere
    for elsewhere in (booted.com2, booted.pci):
        assert BOOT_MAGIC not in elsewhere


def test_kernel_is_booted_by_what_is_typed_at_grubs_prompt(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = machine(tmp_path, "i386-pc", CONSOLE.format(unit=0))
    prompt = ("--until", r"grub> $")
    script = (*prompt, "--send", r"multiboot2 (memdisk)/boot/nothing.elf\r")
    script += (*prompt, "--send", r"multiboot2 (memdisk)/boot/kernel.elf typed by hand\r")
    script += (*prompt, "--send", r"boot\r", "--until", "end$")

    output = vmmgr("run", file, *script, status=PASSED).stdout

    assert re.search(r"error: .*file `/boot/nothing\.elf' not found", output)
    assert Report.of(output).told("command line:") == "typed by hand"
