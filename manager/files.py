# SPDX-License-Identifier: BSD-2-Clause
"""Opening files that may be anything: only regular ones, of a size that makes sense for them.

A FIFO in a file's place would hang its reader, a device would never end, a file of 256 GiB would
take all memory. Whatever is read by its name is read here or opened here.

Files of vmmgr's own, those of its state, are opened with `open_own`: never through a link, and made
for their owner only, whatever the umask. `replace` and `make_private` are its ways to write them.
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
KERNEL = 1 << 30
"""Bytes of a kernel, at most."""
ROM = 64 * MIB
"""Bytes that are read of what is said to be firmware, at most."""
PAYLOAD = 4 << 30
"""Bytes of another file to boot from, at most, in a machine of any size."""
STATE = 1 * MIB
"""Bytes of a small file of the state directory, at most."""
PRIVATE = 0o600
"""The mode of files of vmmgr's own."""

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


def open_regular(path: Path) -> int:
    """A descriptor of a regular file, for reading; never waits for a FIFO's other side.

    Raises OSError, UnfitFileError for another kind.
    """
    return _open(path, os.O_RDONLY)


def open_own(path: Path, flags: int = os.O_RDONLY) -> int:
    """A descriptor of a file of vmmgr's own, which is private if `flags` have it made.

    Raises OSError, UnfitFileError for another kind and for a symbolic link.
    """
    return _open(path, flags | os.O_NOFOLLOW)


def _open(path: Path, flags: int) -> int:
    try:
        # Not blocking: opening a FIFO would wait for its other side.
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, PRIVATE)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket, or a FIFO without a reader
            _require_regular(path, path.stat())
        if error.errno == errno.ELOOP and flags & os.O_NOFOLLOW:
            raise UnfitFileError(path, "is a symbolic link, not a regular file") from None
        raise
    except ValueError:
        raise UnfitFileError(path, "has a NUL character in its name") from None
    try:
        _require_regular(path, os.fstat(descriptor))
    except UnfitFileError:
        os.close(descriptor)
        raise
    return descriptor


def look(path: Path) -> os.stat_result:
    """What is known of a regular file that can be read. Raises OSError, UnfitFileError."""
    try:
        status = path.stat()
    except ValueError:
        raise UnfitFileError(path, "has a NUL character in its name") from None
    _require_regular(path, status)
    if not os.access(path, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return status


def _require_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise UnfitFileError(path, f"is {kind}, not a regular file")


def open_output(path: Path, flags: int, mode: int = 0o666) -> int:
    """A descriptor for writing to a regular file or a device; `flags` are added to O_WRONLY.

    Never waits for a FIFO's other side. Raises OSError, UnfitFileError for a FIFO or a socket.
    """
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        kind = stat.S_IFREG
    except ValueError:
        raise UnfitFileError(path, "has a NUL character in its name") from None
    if kind in (stat.S_IFIFO, stat.S_IFSOCK):
        raise UnfitFileError(path, f"is {_KINDS[kind]}, not a regular file")
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, mode)


def read(path: Path, limit: int) -> bytes:
    """All of a regular file of at most `limit` bytes. Raises OSError, UnfitFileError."""
    return _content(path, open_regular(path), limit)


def read_own(path: Path, limit: int = STATE) -> bytes:
    """All of a file of vmmgr's own. Raises OSError, UnfitFileError."""
    return _content(path, open_own(path), limit)


def _content(path: Path, descriptor: int, limit: int) -> bytes:
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
    """The last `size` bytes of a file of vmmgr's own, of any size. Raises OSError."""
    with os.fdopen(open_own(path), "rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - size))
        return file.read(size)


def replace(path: Path, data: bytes) -> None:
    """Replace a file of vmmgr's own: a reader finds the old or the new content, wholly.

    Durable once this returns. Raises OSError; then the old content is still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        with os.fdopen(open_own(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_private(directory: Path) -> None:
    """Make a directory, and those that it is in, for their owner only. Raises OSError."""
    if directory.is_dir():
        return
    make_private(directory.parent)
    directory.mkdir(mode=0o700, exist_ok=True)


def is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one place; False when it cannot be told."""
    try:
        return one == other or os.path.realpath(one) == os.path.realpath(other)
    except (OSError, ValueError):
        return False


def _shown(size: int) -> str:
    for unit, name in ((1 << 30, "GiB"), (MIB, "MiB"), (1 << 10, "KiB")):
        if size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"
