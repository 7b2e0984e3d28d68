# SPDX-License-Identifier: BSD-2-Clause
"""Debian's GRUB, with files of ours in its memory disk, in a form that firmware starts."""

from __future__ import annotations

import os
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Literal

from support.debian import package

MEMORY_DISK = "(memdisk)/boot/grub"
MODULES = ("memdisk", "tar", "normal", "serial", "terminal", "echo", "multiboot2", "boot")
LIBRARY = "libdevmapper1.02.1"
"""What grub-mkimage needs and a small Debian does not have."""
Platform = Literal["i386-pc", "x86_64-efi"]
PACKAGES = {"i386-pc": "grub-pc-bin", "x86_64-efi": "grub-efi-amd64-bin"}


def grub(platform: Platform, files: Mapping[str, bytes]) -> bytes:
    """GRUB as a Linux bzImage (i386-pc) or an EFI application, `files` below /boot of its disk.

    It runs grub/grub.cfg, if that is there. A loud skip when GRUB cannot be had.
    """
    modules = package(PACKAGES[platform]) / "usr/lib/grub" / platform
    image = _make_image(platform, modules, files)
    # GRUB has a wrapping of its own for loaders that know nothing but Linux.
    return (modules / "lnxboot.img").read_bytes() + image if platform == "i386-pc" else image


def core(format: str, prefix: str, *modules: str) -> bytes:
    """GRUB that finds its grub.cfg at `prefix` by itself, in a form of grub-mkimage's.

    `modules` are those that it needs to read that, beside those of every test here.
    """
    platform: Platform = "x86_64-efi" if format.endswith("efi") else "i386-pc"
    folder = package(PACKAGES[platform]) / "usr/lib/grub" / platform
    every = [module for module in MODULES if module not in ("memdisk", "tar")]
    return _run(format, "-d", folder, "-p", prefix, *every, *modules)


def boot_sector() -> bytes:
    """What loads such a core from a disk."""
    return (package(PACKAGES["i386-pc"]) / "usr/lib/grub/i386-pc/boot.img").read_bytes()


def _make_image(platform: Platform, modules: Path, files: Mapping[str, bytes]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        disk = Path(folder) / "disk.tar"
        with tarfile.open(disk, "w", format=tarfile.USTAR_FORMAT) as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(f"boot/{name}")
                entry.size = len(content)
                archive.addfile(entry, BytesIO(content))
        return _run(platform, "-d", modules, "-p", MEMORY_DISK, "-m", disk, *MODULES)


def _run(format: str, *options: str | Path) -> bytes:
    """What grub-mkimage makes."""
    tool = package("grub-common") / "usr/bin/grub-mkimage"
    libraries = package(LIBRARY) / "lib/x86_64-linux-gnu"
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "grub"
        result = subprocess.run(
            [tool, "-O", format, "-o", image, *options],
            env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 0, result.stderr.decode()
        return image.read_bytes()
