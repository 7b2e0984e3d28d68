# SPDX-License-Identifier: BSD-2-Clause
"""Write an initramfs with one program and one init script.

`initramfs.py BUSYBOX INIT OUTPUT [MODULE...]`: the modules get names by which they sort as they are
given here, for an init that loads /modules/*.ko.

The archive is a cpio of the "newc" kind (Linux, Documentation/driver-api/early-userspace/
buffer-format.rst), compressed with gzip. All files belong to root and are from 1970, so equal
input gives equal output, and no root rights are needed to put a device node in.
"""

from __future__ import annotations

import gzip
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MAGIC = b"070701"
TRAILER = "TRAILER!!!"


@dataclass(frozen=True)
class Entry:
    """One file, directory, link or device node. `mode` holds type and permission bits."""

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)
    """Major and minor number."""


def header(entry: Entry, inode: int) -> bytes:
    """The entry's header: the magic, 13 numbers of 8 hexadecimal digits, the name; 4-aligned."""
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    numbers = (
        inode,
        entry.mode,
        0,  # uid
        0,  # gid
        links,
        0,  # mtime
        len(entry.data),
        0,  # the device it was on
        0,
        *entry.device,
        len(name),
        0,  # checksum, unused in this kind
    )
    return pad(MAGIC + b"".join(b"%08x" % number for number in numbers) + name)


def pad(data: bytes) -> bytes:
    """Fill up to a multiple of four bytes."""
    return data + bytes(-len(data) % 4)


def archive(entries: list[Entry]) -> bytes:
    """The whole cpio archive, with the trailer that ends it."""
    parts = []
    for inode, entry in enumerate([*entries, Entry(TRAILER, 0)], start=1):
        parts += [header(entry, inode), pad(entry.data)]
    return b"".join(parts)


def contents(busybox: bytes, init: bytes, modules: Sequence[bytes] = ()) -> list[Entry]:
    """What is in the archive. The kernel opens /dev/console before init mounts a /dev."""
    directories = [Entry(path, stat.S_IFDIR | 0o755) for path in ("bin", "dev", "proc", "root")]
    return [
        *directories,
        Entry("sys", stat.S_IFDIR | 0o755),
        Entry("tmp", stat.S_IFDIR | 0o1777),
        Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)),
        Entry("bin/busybox", stat.S_IFREG | 0o755, busybox),
        Entry("init", stat.S_IFREG | 0o755, init),
        *([Entry("modules", stat.S_IFDIR | 0o755)] if modules else []),
        *(
            Entry(f"modules/{number:02}.ko", stat.S_IFREG | 0o644, module)
            for number, module in enumerate(modules)
        ),
    ]


def main() -> None:
    """Read the files named on the command line, write the third."""
    busybox, init, output, *modules = map(Path, sys.argv[1:])
    drivers = [module.read_bytes() for module in modules]
    cpio = archive(contents(busybox.read_bytes(), init.read_bytes(), drivers))
    # Level 6: what the kernel has to unpack is the same, and the host is done sooner.
    output.write_bytes(gzip.compress(cpio, 6, mtime=0))


if __name__ == "__main__":
    main()
