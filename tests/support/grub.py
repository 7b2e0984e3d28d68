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


def _make_image(platform: Platform, modules: Path, files: Mapping[str, bytes]) -> bytes:
    tool = package("grub-common") / "usr/bin/grub-mkimage"
    with tempfile.TemporaryDirectory() as folder:
        image, disk = Path(folder) / "grub", Path(folder) / "disk.tar"
        with tarfile.open(disk, "w", format=tarfile.USTAR_FORMAT) as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(f"boot/{name}")
                entry.size = len(content)
                archive.addfile(entry, BytesIO(content))
        options = ("-O", platform, "-d", modules, "-p", MEMORY_DISK, "-m", disk, "-o", image)
        libraries = package(LIBRARY) / "lib/x86_64-linux-gnu"
        result = subprocess.run(
            [tool, *options, *MODULES],
            env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 0, result.stderr.decode()
        return image.read_bytes()
