# SPDX-License-Identifier: BSD-2-Clause
"""Debian's GRUB where installers put it, on disks and CDs: it loads a kernel from there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.assembler import link
from support.debian import package
from support.gpt import BIOS_BOOT, FIRST_USABLE, LINUX, SECTOR, table
from support.grub import boot_sector, core
from support.needs import needs
from support.suite import GUESTS
from support.vmmgr import ROOT, Vmmgr

sys.path.append(str(ROOT / "examples" / "debian"))

from grub_disk import GAP_END, master_boot_record, placed

pytestmark = needs("mke2fs", "xorriso", "mkfs.fat", "mcopy")

KERNEL_BASE = 0x200000
PASSED = 1
"""The exit status of a guest that ends with 0: (0 << 1) | 1."""
CONFIGURATION = """
serial --unit=0
terminal_output serial
multiboot2 /boot/kernel.elf from "$grub_platform" by "$root"
boot
"""
MACHINE = """
schema = 1
name = "grub"
[memory]
size = "128M"
[clock]
mode = "virtual"
[boot]
{firmware}
boot-order = ["{order}"]
[disks.boot]
{source}
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
{slot}
[lpc.com1]
[lpc.debug-exit]
port = 0xf4
"""
SLOTS = {
    "virtio-blk": '[slots.5]\ndevice = "virtio-blk"\ndisk = "boot"',
    "nvme": '[slots.5]\ndevice = "nvme"\ndisk = "boot"',
    "ide": '[slots."1.1"]\ndevice = "ide"\nprimary-master = "boot"',
    "cd": '[slots."1.1"]\ndevice = "ide"\nsecondary-master = { disk = "boot", type = "cdrom" }',
}
ORDER = {"ide": "ide.primary-master", "cd": "ide.secondary-master"}
SEABIOS = 'firmware = "{folder}/usr/share/seabios/bios-256k.bin"'
OVMF = """firmware = "{folder}/usr/share/OVMF/OVMF_CODE_4M.fd"
variables = "{folder}/usr/share/OVMF/OVMF_VARS_4M.fd\""""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What is to be on the disk, but for GRUB itself."""
    folder = tmp_path / "tree"
    (folder / "boot/grub").mkdir(parents=True)
    (folder / "boot/grub/grub.cfg").write_text(CONFIGURATION)
    kernel = link((GUESTS / "multiboot2.s").read_text(), KERNEL_BASE)
    (folder / "boot/kernel.elf").write_bytes(kernel)
    return folder


def file_system(tree: Path) -> bytes:
    """An ext4 file system with the tree."""
    image = tree.parent / "root.img"
    command = ("mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, image, "16M")
    subprocess.run(command, check=True, capture_output=True)
    return image.read_bytes()


def boot(vmmgr: Vmmgr, folder: Path, device: str, source: str, firmware: str = SEABIOS) -> str:
    """The command line that the kernel got from GRUB."""
    place = package("seabios" if firmware == SEABIOS else "ovmf")
    text = MACHINE.format(
        firmware=firmware.format(folder=place),
        order=ORDER.get(device, "slots.5"),
        source=source,
        slot=SLOTS[device],
    )
    (folder / "grub.toml").write_text(text)
    output = vmmgr("run", folder / "grub.toml", status=PASSED).stdout
    assert output.replace("\r", "").endswith("end\n")
    return output.partition("command line: ")[2].partition("\n")[0].strip()


@pytest.mark.parametrize("device", ["virtio-blk", "nvme", "ide"])
def test_grub_starts_from_the_master_boot_record(
    vmmgr: Vmmgr, tmp_path: Path, tree: Path, device: str
) -> None:
    code = core("i386-pc", "(hd0,msdos1)/boot/grub", "biosdisk", "part_msdos", "ext2")
    system = file_system(tree)
    gap = master_boot_record(boot_sector(), len(system) // SECTOR) + placed(code, 1)
    (tmp_path / "disk.img").write_bytes(gap.ljust(GAP_END * SECTOR, b"\0") + system)

    told = boot(vmmgr, tmp_path, device, 'image = "disk.img"')

    assert told == "from pc by hd0,msdos1"


def test_grub_starts_from_a_gpt_with_a_partition_of_its_own(
    vmmgr: Vmmgr, tmp_path: Path, tree: Path
) -> None:
    code = core("i386-pc", "(hd0,gpt2)/boot/grub", "biosdisk", "part_gpt", "ext2")
    system = file_system(tree)
    end = GAP_END + len(system) // SECTOR
    partitions = [(BIOS_BOOT, FIRST_USABLE, GAP_END - 1), (LINUX, GAP_END, end - 1)]
    gpt = table(end + FIRST_USABLE, partitions)
    first = bytearray(master_boot_record(boot_sector(), 0, FIRST_USABLE))
    first[0x1BE:] = gpt[0x1BE:SECTOR]
    gap = bytes(first) + gpt[SECTOR:] + placed(code, FIRST_USABLE)
    disk = gap.ljust(GAP_END * SECTOR, b"\0") + system + bytes(FIRST_USABLE * SECTOR)
    (tmp_path / "disk.img").write_bytes(disk)

    assert boot(vmmgr, tmp_path, "virtio-blk", 'image = "disk.img"') == "from pc by hd0,gpt2"


def test_grub_starts_from_a_cd(vmmgr: Vmmgr, tmp_path: Path, tree: Path) -> None:
    code = core("i386-pc-eltorito", "/boot/grub", "biosdisk", "iso9660")
    (tree / "boot/grub/eltorito.img").write_bytes(code)
    options = ("-no-emul-boot", "-boot-load-size", "4", "-boot-info-table")
    options += ("-R", "-b", "boot/grub/eltorito.img", "-o", str(tmp_path / "cd.iso"))
    command = ("xorriso", "-as", "mkisofs", "-quiet", *options, tree)
    subprocess.run(command, check=True, capture_output=True)

    told = boot(vmmgr, tmp_path, "cd", 'image = "cd.iso"')

    assert told == "from pc by hd96"  # the BIOS calls it E0h, 60h above the first disk


@pytest.mark.parametrize("device", ["virtio-blk", "nvme"])
def test_grub_starts_from_the_folder_of_an_efi_system_partition(
    vmmgr: Vmmgr, tmp_path: Path, tree: Path, device: str
) -> None:
    program = tree / "EFI/BOOT/BOOTX64.EFI"
    program.parent.mkdir(parents=True)
    program.write_bytes(core("x86_64-efi", "/boot/grub", "fat"))

    told = boot(vmmgr, tmp_path, device, 'folder = "tree"\nformat = "fat"', OVMF)

    assert told == "from efi by hd0"
