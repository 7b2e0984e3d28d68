# SPDX-License-Identifier: BSD-2-Clause
"""Debian's SeaBIOS and OVMF, unmodified, from the reset vector on."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from support.debian import package
from support.linux import IMAGES
from support.vmmgr import Vmmgr

SEABIOS = "usr/share/seabios/bios-256k.bin"
OVMF = "usr/share/ovmf/OVMF.fd"
SHELL = r"Shell> \S*$"

LINUX = f"""
kernel = "{IMAGES / "vmlinuz"}"
initrd = "{IMAGES / "initrd.img"}"
cmdline = "console=ttyS0"
"""
BOARD = """
[clock]
mode = "virtual"

[slots.0]
device = "hostbridge"

[slots.1]
device = "lpc"

[slots.4]
device = "uart"

[slots.9]
device = "uart"

[lpc.com1]
"""


def machine(folder: Path, firmware: Path, boot: str = "") -> Path:
    """A machine file named fw.toml."""
    file = folder / "fw.toml"
    file.write_text(
        f'schema = 1\n[memory]\nsize = "256M"\n[boot]\nfirmware = "{firmware}"\n{boot}{BOARD}'
    )
    return file


@pytest.fixture
def seabios() -> Path:
    return package("seabios") / SEABIOS


@pytest.fixture
def ovmf() -> Path:
    return package("ovmf") / OVMF


def test_seabios_finds_nothing_to_boot(vmmgr: Vmmgr, tmp_path: Path, seabios: Path) -> None:
    result = vmmgr("run", machine(tmp_path, seabios), "--until", "No bootable device")

    assert "SeaBIOS (version" in result.stdout
    assert "Booting from Hard Disk" in result.stdout


def test_seabios_tells_on_its_debug_port_what_it_does(
    vmmgr: Vmmgr, tmp_path: Path, seabios: Path
) -> None:
    vmmgr("up", machine(tmp_path, seabios), "-d", "--wait-for", "No bootable device")

    log = vmmgr("logs", "fw", "--port", "board.debug").stdout

    mapped = re.findall(r"map device bdf=(\S+)\s+bar 0, addr (\S+), size 0+8 \[io\]", log)
    assert sorted(bdf for bdf, _ in mapped) == ["00:04.0", "00:09.0"]
    assert len({address for _, address in mapped}) == 2
    assert "QEMU fw_cfg DMA interface supported" in log


def test_run_prints_the_debug_port_when_it_is_named(
    vmmgr: Vmmgr, tmp_path: Path, seabios: Path
) -> None:
    script = ("--port", "board.debug", "--until", "fw_cfg DMA interface supported")

    result = vmmgr("run", machine(tmp_path, seabios), *script)

    assert result.stdout.startswith("SeaBIOS (version")


@pytest.mark.usefixtures("linux")
def test_seabios_boots_linux_and_again_after_its_reboot(
    vmmgr: Vmmgr, tmp_path: Path, seabios: Path
) -> None:
    script = ("--until", "# $", "--send", r"dmesg | grep ttyS; cat /proc/cmdline\n")
    script += ("--until", "# $", "--send", r"reboot -f\n", "--until", "Booting from ROM")

    result = vmmgr("run", machine(tmp_path, seabios, LINUX), *script)

    first, _, second = result.stdout.partition("reboot: Restarting system")
    assert "Booting from ROM" in first
    assert "BIOS-provided physical RAM map" in first
    assert re.search(r"^console=ttyS0\r?$", first, re.MULTILINE)
    assert re.search(r"ttyS0 at I/O 0x3f8 \(irq = 4", first)
    assert len(re.findall(r"0000:00:0[49].0: ttyS\d at I/O 0xc0", first)) >= 2
    assert "SeaBIOS (version" in second


def test_ovmf_shell_talks_on_com1_and_on_the_pci_uart(
    vmmgr: Vmmgr, tmp_path: Path, ovmf: Path
) -> None:
    file = machine(tmp_path, ovmf)
    script = ("--until", "any other key", "--send", r"\r", "--until", SHELL)
    script += ("--send", r"pci 00 04 00 -i\r", "--until", SHELL)

    on_com1 = vmmgr("run", file, *script).stdout
    on_pci = vmmgr("run", file, "--port", "slots.4", *script).stdout

    for output in (on_com1, on_pci):
        assert "UEFI Interactive Shell" in output
        command = re.search(r"00000000: 36 1B 02 00 (\w\w)", output)
        bar = re.search(r"00000010: (\w\w) (\w\w) 00 00", output)
        assert command is not None
        assert bar is not None
        assert int(command[1], 16) & 1  # it answers at its ports
        base = int(bar[2] + bar[1], 16) & ~1
        assert base >= 0x1000  # it powers on at 0: firmware has placed it


@pytest.mark.usefixtures("linux")
def test_ovmf_boots_linux_with_our_acpi_tables(vmmgr: Vmmgr, tmp_path: Path, ovmf: Path) -> None:
    script = (
        "--until",
        "# $",
        "--send",
        r"dmesg | grep -E 'ACPI: |efi: |ttyS'\n",
        "--until",
        "# $",
    )

    result = vmmgr("run", machine(tmp_path, ovmf, LINUX), *script)

    assert re.search(r"efi: EFI v2\S+ by EDK II", result.stdout)
    for table in ("FACP", "DSDT", "FACS", "APIC"):
        assert f"ACPI: {table} 0x" in result.stdout
    assert re.search(r"ttyS0 at I/O 0x3f8 \(irq = 4", result.stdout)


def test_suspended_firmware_needs_its_file_no_more(
    vmmgr: Vmmgr, tmp_path: Path, ovmf: Path
) -> None:
    rom = tmp_path / "ovmf.fd"
    shutil.copy(ovmf, rom)
    file = machine(tmp_path, rom)
    vmmgr("up", file, "-d", "--wait-for", "any other key")
    vmmgr("send", "fw", r"\r")
    vmmgr("suspend", "fw")
    rom.unlink()

    vmmgr("resume", file, "-d")
    vmmgr("send", "fw", r"reset\r")
    console = vmmgr.terminal("logs", "fw", "-f")
    console.expect("UEFI Interactive Shell")
    console.expect("UEFI Interactive Shell")  # reset begins with the ROM that was saved
    console.close()
    vmmgr("down", "fw")
