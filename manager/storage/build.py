# SPDX-License-Identifier: BSD-2-Clause
"""Images made from a folder: ext4, FAT or ISO 9660, the same bytes for the same content.

The host's tools write the file systems; what they would take from the host's clock, from random
numbers or from the order of its directories is fixed here.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from manager import scratch
from manager.errors import UsageError
from manager.storage import tools
from manager.storage.tree import Entry, entries

FIXED_TIME = 1_704_067_200
"""Every time in an image: 2024-01-01T00:00:00Z, in seconds since 1970."""
_UUID = "8a1d4c3e-5f60-4b7a-9c21-766d6d677201"
_MIB = 1 << 20
_EXT4_LEAST, _FAT_LEAST = 8 * _MIB, 2 * _MIB
_EXT4_BLOCK = 4096
_AT_ONCE = 200
"""Names in one call of a tool."""


def build(folder: Path, format: str, size: int | None, to: Path) -> None:
    """Write the image of `folder` to the new file `to`.

    `size` is the image's in bytes, a multiple of 1 MiB; None takes what the content needs and
    some room. Raises HostError, UsageError.
    """
    BUILDERS[format](folder, list(entries(folder)), size, to)


def _room(found: list[Entry], unit: int) -> int:
    return sum(-(-entry.size // unit) * unit + unit for entry in found)


def _rounded(size: int) -> int:
    return -(-size // _MIB) * _MIB


# -- ext4: debugfs, since mke2fs -d takes names in the order that the host's directory has ----


def _ext4(folder: Path, found: list[Entry], size: int | None, to: Path) -> None:
    why = f"an ext4 image of {folder}"
    content = _room(found, _EXT4_BLOCK)
    size = size or _rounded(max(_EXT4_LEAST, content * 5 // 4 + 4 * _MIB))
    inodes = max(64, len(found) * 5 // 4 + 64)
    features = f"lazy_itable_init=0,lazy_journal_init=0,hash_seed={_UUID},root_owner=0:0"
    clock = {"E2FSPROGS_FAKE_TIME": str(FIXED_TIME), "SOURCE_DATE_EPOCH": str(FIXED_TIME)}
    arguments = ["-q", "-F", "-t", "ext4", "-b", str(_EXT4_BLOCK), "-U", _UUID, "-E", features]
    arguments += ["-N", str(inodes), "-m", "0", os.fspath(to), f"{size // 1024}k"]
    tools.run("mke2fs", arguments, why=why, environment=clock)
    script = b"".join(_debugfs_commands(folder, found))
    with scratch.folder("vmmgr-image-") as place:
        (place / "script").write_bytes(script)
        arguments = ["-w", "-f", os.fspath(place / "script"), os.fspath(to)]
        said = tools.run("debugfs", arguments, why=why, environment=clock, complaints=True)
    _check(said, why)


def _check(said: bytes, why: str) -> None:
    """Look for failures: debugfs goes on after one, and ends with 0."""
    for line in said.splitlines():
        if line and not line.startswith((b"debugfs", b"Allocated inode")):
            fault = line.decode(errors="replace")
            raise UsageError(f"{why}: debugfs: {fault}", help="perhaps its `size` is too small")


def _quoted(path: bytes) -> bytes:
    if b"\n" in path:
        raise UsageError(f"{os.fsdecode(path)!r}: a name with a line break cannot be put in ext4")
    return b'"/' + path.replace(b'"', b'""') + b'"'


def _debugfs_commands(folder: Path, found: list[Entry]) -> Iterator[bytes]:
    top = os.fsencode(folder)
    for entry in found:
        name = _quoted(entry.path)
        if entry.is_directory:
            yield b"mkdir %s\n" % name
        elif entry.is_link:
            yield b"symlink %s %s\n" % (name, _argument(entry.target))
        else:
            yield b"write %s %s\n" % (_argument(top + b"/" + entry.path), name)
        yield from _fields(name, entry.mode)
    yield from _fields(b"/", stat.S_IFDIR | 0o755)


def _argument(value: bytes) -> bytes:
    if b"\n" in value:
        raise UsageError(f"{os.fsdecode(value)!r}: a name with a line break cannot be put in ext4")
    return b'"' + value.replace(b'"', b'""') + b'"'


def _fields(name: bytes, mode: int) -> Iterator[bytes]:
    yield b"sif %s mode 0%o\n" % (name, mode)
    for field, value in (("uid", 0), ("gid", 0), ("generation", 0)):
        yield b"sif %s %s %d\n" % (name, field.encode(), value)
    for field in ("atime", "ctime", "mtime", "crtime"):
        yield b"sif %s %s @%d\n" % (name, field.encode(), FIXED_TIME)
        yield b"sif %s %s_extra 0\n" % (name, field.encode())


# -- FAT and ISO 9660 ---------------------------------------------------------------------------


def _fat(folder: Path, found: list[Entry], size: int | None, to: Path) -> None:
    why = f"a FAT image of {folder}"
    if links := [entry for entry in found if entry.is_link]:
        raise UsageError(
            f"{folder}/{os.fsdecode(links[0].path)} is a link, which FAT does not have",
            help='leave it out, or take format = "ext4"',
        )
    size = size or _rounded(max(_FAT_LEAST, _room(found, 4096) * 5 // 4 + _MIB))
    with to.open("xb") as file:
        file.truncate(size)
    tools.run("mkfs.fat", ["--invariant", to], why=why)
    clock = {"SOURCE_DATE_EPOCH": str(FIXED_TIME), "TZ": "UTC", "MTOOLS_SKIP_CHECK": "1"}
    with _staged(folder, found) as stage:
        top = os.fsencode(stage)
        for parent, names in _by_directory(found):
            target = b"::/" + parent
            folders = [target + b"/" + name for name, is_directory in names if is_directory]
            files = [
                b"/".join(part for part in (top, parent, name) if part)
                for name, is_directory in names
                if not is_directory
            ]
            image = ["-i", os.fspath(to)]
            for some in _some(folders):
                tools.run("mmd", [*image, *some], why=why, environment=clock)
            for some in _some(files):
                arguments = ["-m", *image, *some, os.fsdecode(target)]
                tools.run("mcopy", arguments, why=why, environment=clock)


def _some(names: list[bytes]) -> Iterator[list[str]]:
    """The names, so many at a time as a command line takes."""
    for at in range(0, len(names), _AT_ONCE):
        yield [os.fsdecode(name) for name in names[at : at + _AT_ONCE]]


def _by_directory(found: list[Entry]) -> Iterator[tuple[bytes, list[tuple[bytes, bool]]]]:
    """Each directory that is not empty, parents first: its path, its names and their kind."""
    groups: dict[bytes, list[tuple[bytes, bool]]] = {}
    for entry in found:
        parent, _, name = entry.path.rpartition(b"/")
        groups.setdefault(parent, []).append((name, entry.is_directory))
    yield from sorted(groups.items())


def _iso(folder: Path, found: list[Entry], size: int | None, to: Path) -> None:
    why = f"an ISO image of {folder}"
    stamp = "2024010100000000"
    with _staged(folder, found) as stage:
        arguments = ["-as", "mkisofs", "-quiet", "-R", "-J", "-r", "-V", "VMMGR"]
        arguments += [f"--modification-date={stamp}", "-o", os.fspath(to), stage]
        clock = {"SOURCE_DATE_EPOCH": str(FIXED_TIME), "TZ": "UTC"}
        tools.run("xorriso", arguments, why=why, environment=clock)
    if size is not None:
        if to.stat().st_size > size:
            raise UsageError(f"{why}: {to.stat().st_size} bytes do not fit into {size}")
        os.truncate(to, size)


@contextmanager
def _staged(folder: Path, found: list[Entry]) -> Iterator[str]:
    """A copy of the tree whose times are fixed."""
    with scratch.folder("vmmgr-image-") as top:
        directories = [top]
        for entry in found:
            name = os.fsdecode(entry.path)
            place = top / name
            if entry.is_directory:
                place.mkdir()
                directories.append(place)
            elif entry.is_link:
                place.symlink_to(os.fsdecode(entry.target))
                os.utime(place, (FIXED_TIME, FIXED_TIME), follow_symlinks=False)
            else:
                shutil.copyfile(folder / name, place)
                place.chmod(stat.S_IMODE(entry.mode))
                os.utime(place, (FIXED_TIME, FIXED_TIME))
        for place in reversed(directories):
            os.utime(place, (FIXED_TIME, FIXED_TIME))
        yield os.fspath(top)


BUILDERS: Mapping[str, Callable[[Path, list[Entry], int | None, Path], None]] = {
    "ext4": _ext4,
    "fat": _fat,
    "iso": _iso,
}
