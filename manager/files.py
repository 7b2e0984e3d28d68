# SPDX-License-Identifier: BSD-2-Clause
"""Reading files that may be anything: only regular ones, of a size that makes sense for them.

A FIFO in a file's place would hang its reader, a device would never end, a file of 256 GiB would
take all memory. Whatever is read by its name is read here or opened here.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

MIB = 1 << 20
TEXT = 4 * MIB
"""Bytes of a file that people write, at most."""
STATE = 1 * MIB
"""Bytes of a small file of the state directory, at most."""

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a directory",
}


class UnfitFileError(OSError):
    """A file that can be opened and must not be read; `strerror` says why, as for any OSError."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(errno.EINVAL, fault, str(path))


def open_regular(path: Path, *, follow: bool = True) -> int:
    """A descriptor of a regular file, for reading; never waits for a FIFO's other side.

    Without `follow` a symbolic link is refused. Raises OSError, UnfitFileError for another kind.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise UnfitFileError(path, "is a socket, not a regular file") from None
        raise
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise UnfitFileError(path, f"is {kind}, not a regular file")
    return descriptor


def read(path: Path, limit: int) -> bytes:
    """All of a regular file of at most `limit` bytes. Raises OSError, UnfitFileError."""
    descriptor = open_regular(path)
    try:
        size = os.fstat(descriptor).st_size
        parts: list[bytes] = []
        left = limit + 1  # what the kernel makes up has no size before it is read
        step = max(size + 1, MIB)
        while size <= limit and left and (part := os.read(descriptor, min(left, step))):
            parts.append(part)
            left -= len(part)
    finally:
        os.close(descriptor)
    if size > limit or not left:
        raise UnfitFileError(path, f"is larger than {_shown(limit)}")
    return b"".join(parts)


def read_text(path: Path, limit: int = TEXT) -> str:
    """The same as UTF-8 text. Raises OSError, UnfitFileError; UnicodeDecodeError, a ValueError."""
    return read(path, limit).decode()


def read_json(path: Path, limit: int = STATE) -> Any:
    """The value in a JSON file. Raises OSError, UnfitFileError, ValueError."""
    return parse_json(read(path, limit))


def parse_json(data: str | bytes) -> Any:
    """A JSON value. Raises ValueError, for one that nests too deeply too."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it nests too deeply") from None


def head(path: Path, size: int) -> bytes:
    """The first `size` bytes of a regular file, or as many as it has. Raises OSError."""
    with os.fdopen(open_regular(path), "rb") as file:
        return file.read(size)


def tail(path: Path, size: int) -> bytes:
    """The last `size` bytes of a regular file of any size. Raises OSError, UnfitFileError."""
    with os.fdopen(open_regular(path), "rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - size))
        return file.read(size)


def _shown(size: int) -> str:
    for unit, name in ((1 << 30, "GiB"), (MIB, "MiB"), (1 << 10, "KiB")):
        if size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"
