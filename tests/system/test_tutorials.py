# SPDX-License-Identifier: BSD-2-Clause
"""Every command of every tutorial is run, and prints what the tutorial says."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.debian import package
from support.linux import linux_images
from support.modules import complete, write_loading_initrd
from support.tutorial import environment, run_page
from support.vmmgr import ROOT

TUTORIALS = sorted(page.parent.name for page in ROOT.glob("examples/[0-9][0-9]-*/README.md"))
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for page in [*ROOT.glob("docs/*.md"), ROOT / "README.md"]
    if "```console\n" in page.read_text(encoding="utf-8")
)
FIRMWARE = {"seabios": "usr/share/seabios/bios-256k.bin", "ovmf": "usr/share/ovmf/OVMF.fd"}
"""What examples/firmware.sh downloads."""
SHARED = (
    "machines",
    "manager",
    "docs",
    "examples/linux",
    "examples/firmware.sh",
    "examples/serial.s",
)
BUILT = ("*.bin", "*.elf", "*.o", "*.png", "*.pcap", "__pycache__", ".pytest_cache")


@dataclass
class Checkout:
    """What a reader has after a clone: the files, and nothing built yet."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)

    def tutorial(self, name: str) -> Path:
        """A copy of a tutorial's folder, between its neighbours."""
        place = self.root / "examples" / name
        shutil.copytree(ROOT / "examples" / name, place, ignore=shutil.ignore_patterns(*BUILT))
        return place


@pytest.fixture
def checkout() -> Iterator[Checkout]:
    """A tree to run a page in; its machines are stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="vm-") as folder:
        home = Path(folder)
        root = home / "vmmgr"
        (root / "examples").mkdir(parents=True)
        for shared in SHARED:
            place = shared if (ROOT / shared).exists() else f"examples/{shared}"
            (root / place).symlink_to(ROOT / place)
        tree = Checkout(root, environment(home, ROOT))
        yield tree
        down = ["vmmgr", "down", "--all"]
        subprocess.run(down, env=tree.env, capture_output=True, check=False, timeout=60)


@pytest.mark.parametrize("name", TUTORIALS)
def test_tutorial_does_what_it_says(name: str, checkout: Checkout) -> None:
    page = ROOT / "examples" / name / "README.md"
    text = page.read_text(encoding="utf-8")
    if "linux/fetch.sh" in text:
        linux_images()
    folder = checkout.tutorial(name)
    if "./fetch.sh" in text:
        kernel = complete()
        shutil.copy(kernel.image, folder / "vmlinuz")
        write_loading_initrd(folder / "initrd.img", kernel, "virtio_pci", "9pnet_virtio", "9p")
    if "../firmware.sh" in text:
        for archive, path in FIRMWARE.items():
            shutil.copy(package(archive) / path, folder)

    differences = run_page(page, folder, checkout.env)

    assert not differences, "\n\n".join(differences)


@pytest.mark.parametrize("name", PAGES)
def test_page_does_what_it_says(name: str, checkout: Checkout) -> None:
    differences = run_page(ROOT / name, checkout.root, checkout.env)

    assert not differences, "\n\n".join(differences)
