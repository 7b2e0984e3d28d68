# SPDX-License-Identifier: BSD-2-Clause
"""Opening what a machine file names as a disk: raw and qcow2 images, folders, empty disks.

What is not a raw image already is made into one, once, in a cache: named after the content that it
was made from, so it can be thrown away at any time.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from blake3 import blake3

from manager import files
from manager.errors import HostError, UsageError
from manager.storage import tools
from manager.storage.absent import unopened
from manager.storage.base import SECTOR, RawImage
from manager.storage.build import FIXED_TIME, build
from manager.storage.tree import digest, entries

MAX_SIZE = 1 << 44
"""16 TiB: more blocks than that have no 32-bit number."""
_QCOW2 = b"QFI\xfb"
_OTHERS = {
    b"KDMV": "VMDK",
    b"vhdxfile": "VHDX",
    b"conectix": "VHD",
    b"<<< ": "VDI",
    b"QED\0": "QED",
}
_HASH_PIECE = 8 << 20
_REVISION = 1
"""Of how images are made: another one makes all of them anew."""


def open_image(path: Path, cache: Path) -> RawImage:
    """The image in `path`, raw or qcow2 by its content, for reading.

    Raises HostError, UsageError when it cannot be a disk, naming what is wrong.
    """
    head, size = _look(path)
    if head.startswith(_QCOW2):
        raw = _converted(path, cache)
        return RawImage(raw, file_hash(raw, cache))
    for magic, name in _OTHERS.items():
        if head.startswith(magic):
            raise UsageError(
                f"disk image {path} is a {name} image",
                help=f"convert it: qemu-img convert -O raw {path.name} {path.stem}.img",
            )
    check_size(size, f"disk image {path}")
    return RawImage(path, file_hash(path, cache))


def open_to_write(path: Path, cache: Path) -> RawImage:
    """A raw image that is written later; until then it is read like any other.

    Raises HostError, UsageError when it is not raw.
    """
    if _look(path)[0].startswith(_QCOW2):
        raise UsageError(
            f"disk image {path} is a qcow2 image, which vmmgr does not write",
            help=f'take mode = "overlay", or: qemu-img convert -O raw {path.name} {path.stem}.img',
        )
    return open_image(path, cache)


def open_folder(folder: Path, format: str, size: int | None, cache: Path) -> RawImage:
    """A file system with the content of `folder`, made when its content is not in the cache.

    Raises HostError, UsageError.
    """
    content = digest(folder, list(entries(folder)))
    key = blake3(content + f"{format} {size} {FIXED_TIME} {_REVISION}".encode()).hexdigest()[:32]
    path = _cached(cache, f"{key}.{format}", lambda to: build(folder, format, size, to))
    return RawImage(path, file_hash(path, cache))


def check_size(size: int, what: str) -> None:
    """Raise UsageError unless a disk can have `size` bytes."""
    if size == 0:
        raise UsageError(f"{what} is empty")
    if size % SECTOR:
        raise UsageError(
            f"{what} has {size} bytes, which is not a whole number of {SECTOR}-byte sectors",
            help=f"truncate -s %{SECTOR} makes it one",
        )
    if size > MAX_SIZE:
        raise UsageError(f"{what} has {size} bytes; a disk has {MAX_SIZE} at most")


def file_hash(path: Path, cache: Path) -> bytes:
    """BLAKE3 of a file's content. A file that has not changed is not read again.

    Raises HostError.
    """
    try:
        fd = files.open_regular(path)
        with os.fdopen(fd, "rb", buffering=0) as file:
            status = os.fstat(fd)
            known = cache / "hashes" / _stamp(status)
            if (found := _read_hash(known)) is not None:
                return found
            state = blake3(max_threads=os.cpu_count() or 1)  # they end with it
            while piece := file.read(_HASH_PIECE):
                state.update(piece)
            found = state.digest()
            if _stamp(os.fstat(fd)) == known.name:
                files.make_private(known.parent)
                _put(known, lambda to: _write(to, found.hex().encode()))
            return found
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}") from error


def _stamp(status: os.stat_result) -> str:
    times = f"{status.st_mtime_ns:x}-{status.st_ctime_ns:x}"
    return f"{status.st_dev:x}-{status.st_ino:x}-{status.st_size:x}-{times}"


def _read_hash(path: Path) -> bytes | None:
    try:
        found = bytes.fromhex(files.read_own(path).decode("ascii"))
    except (OSError, ValueError):
        return None
    return found if len(found) == blake3.digest_size else None


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _look(path: Path) -> tuple[bytes, int]:
    """The first bytes and the size of a regular file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            if stat.S_ISDIR(status.st_mode):
                raise UsageError(
                    f"disk image {path} is a folder",
                    help='`folder = "..."` with `format = "ext4"` makes a disk of it',
                )
            if not stat.S_ISREG(status.st_mode):
                raise UsageError(f"disk image {path} is no regular file")
            return os.pread(fd, 16, 0), status.st_size
        finally:
            os.close(fd)
    except OSError as error:
        raise unopened(path, error) from error


# -- qcow2 --------------------------------------------------------------------------------------


class _Converted(NamedTuple):
    """What a qcow2 image was converted to, and all files that it is made of, as they were then."""

    raw: Path
    chain: Mapping[Path, str]

    def is_still(self, cache: Path) -> bool:
        """Whether no file has changed since."""
        try:
            same = all(_stamp(file.stat()) == stamp for file, stamp in self.chain.items())
        except OSError:
            return False
        return same and self.raw.parent == cache and self.raw.exists()


_converted_here: dict[Path, _Converted] = {}
"""By image. A rewind opens disks anew where no program can be started any more."""


def _converted(path: Path, cache: Path) -> Path:
    known = _converted_here.get(path)
    if known is not None and known.is_still(cache):
        return known.raw
    why = f"the qcow2 image {path}"
    chain = _chain(path, why)
    stamps = {file: _stamp(file.stat()) for file in chain}
    key = blake3(b"".join(file_hash(file, cache) for file in chain)).hexdigest()[:32]

    def convert(to: Path) -> None:
        tools.run("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", path, to], why=why)

    raw = _cached(cache, f"{key}.raw", convert)
    _converted_here[path] = _Converted(raw, stamps)
    return raw


def _chain(path: Path, why: str) -> list[Path]:
    """The image and the files it is backed by."""
    arguments = ["info", "--backing-chain", "--output=json", "-f", "qcow2", os.fspath(path)]
    found: list[dict[str, Any]] = json.loads(tools.run("qemu-img", arguments, why=why))
    for item in found:
        if item.get("encrypted"):
            raise UsageError(
                f"{why} is encrypted", help="convert it with qemu-img, which asks for its key"
            )
    check_size(int(found[0]["virtual-size"]), why)
    return [path.parent / item["filename"] for item in found]


# -- the cache ----------------------------------------------------------------------------------


def _cached(cache: Path, name: str, make: Callable[[Path], None]) -> Path:
    path = cache / name
    if not path.exists():
        files.make_private(cache)
        _put(path, make)
    return path


def _put(path: Path, make: Callable[[Path], None]) -> None:
    """Have `make` write a file, which appears at `path` as a whole."""
    temp = path.with_name(f".{path.name}.{os.getpid()}")
    temp.unlink(missing_ok=True)
    try:
        make(temp)
        temp.chmod(0o400)
        temp.replace(path)
    finally:
        temp.unlink(missing_ok=True)
