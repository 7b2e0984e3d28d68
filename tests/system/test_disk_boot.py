# SPDX-License-Identifier: BSD-2-Clause
"""SeaBIOS starts what is on a disk or a CD; so does a kernel that knows only the AT's ports."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.assembler import assemble
from support.debian import package
from support.needs import needs
from support.suite import GUESTS
from support.vmmgr import Vmmgr

LOAD = 0x7C00
SECTOR = 512
DISK = 1 << 20
PASSED = 1
"""The exit status of a guest that ends with 0: (0 << 1) | 1."""
MACHINE = """
schema = 1
name = "booting"
[memory]
size = "32M"
[clock]
mode = "virtual"
[boot]
firmware = "{firmware}"
boot-order = ["{order}"]
[disks]
virtio = {{ image = "virtio.img" }}
nvme = {{ image = "nvme.img" }}
ide = {{ image = "ide.img" }}
cd = {{ image = "cd.iso" }}
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[slots."1.1"]
device = "ide"
primary-master = "ide"
secondary-slave = {{ disk = "cd", type = "cdrom" }}
[slots.5]
device = "virtio-blk"
disk = "virtio"
[slots.6]
device = "nvme"
disk = "nvme"
[lpc.com1]
[lpc.debug-exit]
port = 0xf4
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A disk of each kind that says what it is, and an empty disc."""
    for name in ("virtio", "nvme", "ide"):
        text = f"this is {name}\n".encode()
        write_disk(tmp_path / f"{name}.img", guest("bootsector"), text)
    (tmp_path / "cd.iso").write_bytes(bytes(DISK))
    return tmp_path


def guest(name: str) -> bytes:
    return assemble((GUESTS / f"{name}.S").read_text(), LOAD, 16)


def write_disk(path: Path, code: bytes, text: bytes, at: int = 1) -> None:
    disk = bytearray(code.ljust(DISK, b"\0"))
    disk[at * SECTOR : at * SECTOR + len(text)] = text
    path.write_bytes(disk)


def boot(vmmgr: Vmmgr, folder: Path, order: str) -> str:
    file = folder / "booting.toml"
    seabios = package("seabios") / "usr/share/seabios/bios-256k.bin"
    file.write_text(MACHINE.format(firmware=seabios, order=order))
    return vmmgr("run", file, status=PASSED).stdout


@pytest.mark.parametrize(
    ("order", "name"),
    [("slots.5", "virtio"), ("slots.6", "nvme"), ("ide.primary-master", "ide")],
    ids=["virtio-blk", "nvme", "ide"],
)
def test_boot_sector_reads_and_writes_the_disk_that_comes_first(
    vmmgr: Vmmgr, folder: Path, order: str, name: str
) -> None:
    output = boot(vmmgr, folder, order)

    assert output.endswith(f".this is {name}\nthis is {name}\n")


@needs("xorriso")
def test_el_torito_starts_from_a_cd(vmmgr: Vmmgr, folder: Path) -> None:
    tree = folder / "tree"
    tree.mkdir()
    (tree / "boot.bin").write_bytes(guest("cdboot"))
    options = ("-no-emul-boot", "-boot-load-size", "4", "-V", "OURDISC", "-b", "boot.bin")
    command = ("xorriso", "-as", "mkisofs", "-quiet", "-o", folder / "cd.iso", *options, tree)
    subprocess.run(command, check=True, capture_output=True)

    output = boot(vmmgr, folder, "ide.secondary-slave")

    assert output.endswith("Booting from DVD/CD..ECD001OURDISC ")


def test_course_kernel_drives_the_disk_by_its_ports_alone(vmmgr: Vmmgr, folder: Path) -> None:
    write_disk(folder / "ide.img", guest("course"), b"in small letters\n", at=8)

    output = boot(vmmgr, folder, "ide.primary-master")

    assert output.endswith("no slave\nin small letters\nIN SMALL LETTERS\n")
