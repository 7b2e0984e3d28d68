# SPDX-License-Identifier: BSD-2-Clause
"""Debian's kernels with drivers that they do not have built in, for the busybox shell."""

from __future__ import annotations

import gzip
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from support.debian import installer, package
from support.linux import IMAGES, linux_images
from support.vmmgr import ROOT

sys.path.append(str(ROOT / "examples" / "linux"))

from initramfs import Entry, archive

DIRECTORY = 0o040755
FILE = 0o100644
CPIO_HEADER = 110


@dataclass(frozen=True)
class Kernel:
    """A kernel, and its modules by name with underscores."""

    image: Path
    modules: Mapping[str, Callable[[], bytes]]


@cache
def cloud() -> Kernel:
    """Debian's cloud kernel. A loud skip when it cannot be had."""
    return _packaged("linux-image-cloud-amd64")


@cache
def complete() -> Kernel:
    """Debian's ordinary kernel with all its modules, 9p among them."""
    return _packaged("linux-image-amd64")


def _packaged(name: str) -> Kernel:
    folder = package(name)
    (image,) = (folder / "boot").glob("vmlinuz-*")
    files = (folder / "lib" / "modules").rglob("*.ko")
    return Kernel(image, {_module(file.stem): file.read_bytes for file in files})


@cache
def ordinary() -> Kernel:
    """Debian's ordinary kernel with those modules that its installer brings: many network cards."""
    folder = installer("amd64")
    files = _unpacked(gzip.decompress((folder / "initrd.gz").read_bytes()))
    modules = {
        _module(Path(name).stem): partial(bytes, data)
        for name, data in files
        if name.endswith(".ko")
    }
    return Kernel(folder / "linux", modules)


def write_initrd(path: Path, kernel: Kernel, *names: str) -> list[str]:
    """Debian's busybox with these modules in /mods, and those that they need.

    Returns them in the order in which they are to be loaded.
    """
    order = _in_order(kernel, names)
    _write(path, "mods", {name: kernel.modules[name]() for name in order})
    return order


def write_loading_initrd(path: Path, kernel: Kernel, *names: str) -> None:
    """The same with the modules where the example's init loads them, as its fetch.sh does."""
    order = enumerate(_in_order(kernel, names))
    _write(path, "modules", {f"{number:02}": kernel.modules[name]() for number, name in order})


def _write(path: Path, folder: str, modules: Mapping[str, bytes]) -> None:
    linux_images()
    entries = [Entry(folder, DIRECTORY)]
    entries += [Entry(f"{folder}/{name}.ko", FILE, data) for name, data in modules.items()]
    more = gzip.compress(archive(entries), 1, mtime=0)
    path.write_bytes((IMAGES / "initrd.img").read_bytes() + more)


def _in_order(kernel: Kernel, names: Sequence[str]) -> list[str]:
    order: list[str] = []
    for name in names:
        _add(kernel, name, order)
    return order


def _module(name: str) -> str:
    return name.replace("-", "_")


def _add(kernel: Kernel, name: str, order: list[str]) -> None:
    if name in order:
        return
    depends = re.search(rb"\0depends=([^\0]*)\0", kernel.modules[name]())
    assert depends is not None, name
    for needed in depends[1].decode().split(","):
        if needed:
            _add(kernel, _module(needed), order)
    order.append(name)


def _unpacked(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and contents in a cpio archive of the "newc" kind, as initramfs.py writes it."""
    at = 0
    while True:
        fields = data[at + 6 : at + CPIO_HEADER]
        length, name_length = (int(fields[8 * n : 8 * n + 8], 16) for n in (6, 11))
        name = data[at + CPIO_HEADER : at + CPIO_HEADER + name_length - 1].decode()
        if name == "TRAILER!!!":
            return
        start = at + CPIO_HEADER + name_length + 3 & ~3
        yield name, data[start : start + length]
        at = start + length + 3 & ~3
