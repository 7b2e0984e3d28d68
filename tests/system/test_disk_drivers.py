# SPDX-License-Identifier: BSD-2-Clause
"""Linux's drivers on each kind of disk, with ext4 on it: what is written comes back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.modules import cloud, write_initrd
from support.needs import needs
from support.vmmgr import Vmmgr

pytestmark = [pytest.mark.guest, needs("mke2fs")]

MACHINE = """
schema = 1
name = "driven"
[memory]
size = "128M"
[clock]
mode = "virtual"
[boot]
kernel = "{kernel}"
initrd = "{initrd}"
cmdline = "console=ttyS0 quiet"
[disks.root]
folder = "tree"
format = "ext4"
size = "32M"
[disks.cd]
folder = "tree"
format = "iso"
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
{slot}
[lpc.com1]
"""
VIRTIO = '[slots.5]\ndevice = "virtio-blk"\ndisk = "root"'
NVME = '[slots.5]\ndevice = "nvme"\ndisk = "root"'
IDE = """[slots."1.1"]
device = "ide"
primary-slave = "root"
secondary-master = { disk = "cd", type = "cdrom" }"""
FORGET = "echo 3 > /proc/sys/vm/drop_caches"


@dataclass(frozen=True, slots=True)
class Drive:
    """A disk's controller, the modules that drive it, and what Linux calls the disk."""

    slot: str
    disk: str
    modules: tuple[str, ...] = ()
    options: str = ""
    told: str = ""
    """What Linux says of how it moves data."""


DRIVES = {
    "virtio": Drive(VIRTIO, "/dev/vda", ("virtio_pci", "virtio_blk")),
    "legacy virtio": Drive(VIRTIO, "/dev/vda", ("virtio_pci", "virtio_blk"), "force_legacy=1"),
    "ide": Drive(IDE, "/dev/sda", ("ata_piix", "sd_mod"), told="\nXFER_MW_DMA_2\n"),
    "ide by pio": Drive(IDE, "/dev/sda", ("ata_piix", "sd_mod"), "dma=0", "\nXFER_PIO_4\n"),
    "cd": Drive(IDE, "/dev/sr0", ("ata_piix", "sr_mod", "isofs")),
    "nvme": Drive(NVME, "/dev/nvme0n1"),
}


class Driven:
    """A machine with the disk, and its shell."""

    def __init__(self, vmmgr: Vmmgr, folder: Path, drive: Drive) -> None:
        self.vmmgr = vmmgr
        self.disk = drive.disk
        tree = folder / "tree"
        tree.mkdir()
        (tree / "hello.txt").write_text("hello from the host\n")
        loaded = write_initrd(folder / "initrd.img", cloud(), *drive.modules)
        self.file = folder / "driven.toml"
        text = MACHINE.format(kernel=cloud().image, initrd=folder / "initrd.img", slot=drive.slot)
        self.file.write_text(text)
        options = {"virtio_pci": drive.options, "libata": drive.options}
        self.load = "; ".join(f"insmod /mods/{name}.ko {options.get(name, '')}" for name in loaded)

    def run(self, *commands: str) -> str:
        """What the shell prints, echo and all, with the drivers loaded."""
        script: list[str] = []
        for command in (self.load or "true", *commands):
            script += ["--until", "/ # $", "--send", command + r"\n"]
        result = self.vmmgr("run", self.file, *script, "--until", "/ # $")
        return result.stdout.replace("\r", "").replace("\x1b[6n", "")


DISKS = [name for name in DRIVES if name != "cd"]


@pytest.mark.parametrize("name", DISKS)
def test_what_linux_writes_comes_back(vmmgr: Vmmgr, tmp_path: Path, name: str) -> None:
    drive = DRIVES[name]
    driven = Driven(vmmgr, tmp_path, drive)

    output = driven.run(
        f"mkdir /m; mount -t ext4 {drive.disk} /m && cat /m/hello.txt",
        f"cp /bin/busybox /m/one; sync; {FORGET}; sha256sum /bin/busybox /m/one",
        f"umount /m; dd if=/bin/busybox of={drive.disk} bs=4k seek=4096 conv=fsync; {FORGET}",
        f"dd if={drive.disk} bs=4k skip=4096 | head -c $(stat -c %s /bin/busybox) | sha256sum",
        f"mount -t ext4 {drive.disk} /m && sha256sum /m/one",
        "dmesg | grep -E 'error|exception|failed'; cat /sys/class/ata_device/dev1.1/xfer_mode",
    )

    assert "\nhello from the host\n" in output
    digests = re.findall("^[0-9a-f]{64}", output, re.MULTILINE)
    assert len(digests) == 4
    assert len(set(digests)) == 1
    assert drive.told in output
    assert not re.search(r"I/O error|EXT4-fs error|ata\d.*(exception|failed)", output)


def test_linux_reads_a_cd(vmmgr: Vmmgr, tmp_path: Path) -> None:
    driven = Driven(vmmgr, tmp_path, DRIVES["cd"])

    output = driven.run("mkdir /cd; mount -t iso9660 /dev/sr0 /cd && cat /cd/hello.txt")

    assert "\nhello from the host\n" in output
