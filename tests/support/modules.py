# SPDX-License-Identifier: BSD-2-Clause
"""Debian's cloud kernel with drivers that it does not have built in, for the busybox shell."""

from __future__ import annotations

import gzip
import re
import sys
from functools import cache
from pathlib import Path

from support.debian import package
from support.linux import IMAGES, linux_images
from support.vmmgr import ROOT

sys.path.append(str(ROOT / "examples" / "linux"))

from initramfs import Entry, archive

DIRECTORY = 0o040755
FILE = 0o100644


@cache
def kernel() -> Path:
    """The kernel that the modules are of. A loud skip when it cannot be had."""
    (found,) = (package("linux-image-cloud-amd64") / "boot").glob("vmlinuz-*")
    return found


@cache
def modules() -> dict[str, Path]:
    """All modules, by name with underscores."""
    files = (package("linux-image-cloud-amd64") / "lib" / "modules").rglob("*.ko")
    return {file.stem.replace("-", "_"): file for file in files}


def write_initrd(path: Path, *names: str) -> list[str]:
    """Debian's busybox with these modules in /mods, and those that they need.

    Returns them in the order in which they are to be loaded.
    """
    linux_images()
    order: list[str] = []
    for name in names:
        _add(name, order)
    entries = [Entry("mods", DIRECTORY)]
    entries += [Entry(f"mods/{name}.ko", FILE, modules()[name].read_bytes()) for name in order]
    more = gzip.compress(archive(entries), 1, mtime=0)
    path.write_bytes((IMAGES / "initrd.img").read_bytes() + more)
    return order


def _add(name: str, order: list[str]) -> None:
    if name in order:
        return
    depends = re.search(rb"\0depends=([^\0]*)\0", modules()[name].read_bytes())
    assert depends is not None, name
    for needed in depends[1].decode().split(","):
        if needed:
            _add(needed.replace("-", "_"), order)
    order.append(name)
