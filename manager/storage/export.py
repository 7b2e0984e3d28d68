# SPDX-License-Identifier: BSD-2-Clause
"""A disk as an image file of its own: raw, with holes where there are zeros."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from manager.errors import HostError, UsageError
from manager.storage.base import Zeros
from manager.storage.build import build
from manager.storage.disk import Disk
from manager.storage.images import check_size
from manager.storage.layer import write_all
from manager.storage.write_log import WriteLog

_HOLE = 64 << 10
"""Bytes: zeros of this length, and at a multiple of it, become a hole."""
_ZEROS = bytes(_HOLE)


def export(disk: Disk, path: Path) -> None:
    """Write all of `disk` to the new file `path`: wholly and durably, or not at all.

    Raises UsageError when there is such a file, HostError.
    """
    refuse_existing(path)
    temp = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            with temp.open("xb", buffering=0) as file:
                os.ftruncate(file.fileno(), disk.size)
                for offset, piece in disk.may_differ_from_zero(0, disk.size):
                    _write_sparsely(file.fileno(), piece, offset)
                os.fsync(file.fileno())
            temp.replace(path)
        finally:
            temp.unlink(missing_ok=True)
        fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise HostError(f"{path} cannot be written: {error.strerror}") from error


def make_image(path: Path, size: int | None, folder: Path | None, format: str | None) -> None:
    """A new image: empty, of `size` bytes, or with a file system that holds `folder`.

    Raises UsageError, HostError.
    """
    refuse_existing(path)
    if size is not None:
        check_size(size, f"an image of {size} bytes")
    if folder is None or format is None:
        if folder is not None or format is not None:
            raise UsageError("a folder needs a format", help="such as --format ext4")
        if size is None:
            raise UsageError("an empty image needs a size", help="vmmgr disk new FILE 1G")
        with closing(Disk(Zeros(size), WriteLog.nameless())) as disk:
            export(disk, path)
        return
    temp = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        build(folder, format, size, temp)
        temp.replace(path)
    finally:
        temp.unlink(missing_ok=True)


def refuse_existing(path: Path) -> None:
    """Raise UsageError when there is a file of that name."""
    if os.path.lexists(path):
        raise UsageError(f"{path} exists", help="choose another name, or remove it")


def _write_sparsely(fd: int, piece: bytes, offset: int) -> None:
    view = memoryview(piece)
    for start in range(0, len(view), _HOLE):
        part = view[start : start + _HOLE]
        if part != _ZEROS[: len(part)]:
            write_all(fd, part, offset + start)
