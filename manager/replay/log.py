# SPDX-License-Identifier: BSD-2-Clause
"""The file of an input log (docs/proof.md).

It is eight bytes of mark, then frames: length and CRC-32 of what follows, each 32 bits,
little-endian, then one value in deterministic CBOR. The first value is the header, the others are
entries in the order of virtual time. A process that dies leaves at most its last frame torn.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import field
from pathlib import Path

from manager import cbor, files
from manager.bus.record import Plain
from manager.errors import HostError, SnapshotCorruptError
from manager.lazy import dataclass
from manager.replay.entries import (
    End,
    Entry,
    Header,
    entry_from_plain,
    entry_to_plain,
    header_from_plain,
    header_to_plain,
)

MARK = b"\x89VMLOG\r\n"
LIMIT = 64 << 20
"""Bytes after which a log takes nothing more."""
MOST_FRAME = 32 << 20
_GROWTH = 16
"""By which the entries of a log may be larger than their bytes in it."""
_FRAME = struct.Struct("<II")


@dataclass(slots=True)
class Log:
    """A log as it was read."""

    path: Path
    header: Header
    entries: list[Entry] = field(default_factory=list)
    torn: bool = False
    """Whether the last frame is not whole."""

    @property
    def last_at(self) -> int:
        """The virtual time up to which the run is known."""
        return max([self.header.start.at, *(entry.at for entry in self.entries)])

    @property
    def end(self) -> End | None:
        """How the run ended; None while it goes on, or when its process died."""
        return next((entry for entry in self.entries if isinstance(entry, End)), None)


class Writer:
    """Appends to a new log, readable for its owner only. What the host refuses is not raised."""

    def __init__(self, path: Path, header: Header, *, limit: int = LIMIT) -> None:
        self.path = path
        self.header = header
        self.fault = ""
        """Why the log misses entries, if it does."""
        self.size = 0
        self._limit = limit
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        try:
            files.make_private(path.parent)
            self._descriptor = files.open_own(path, flags)
        except OSError as error:
            raise HostError(f"{path}: cannot begin the input log: {error.strerror}") from None
        self._write(MARK + _frame(header_to_plain(header)))

    def add(self, entry: Entry) -> None:
        """Append; in the kernel's hands once this returns.

        Once something could not be added nothing is: what is there stays true.
        """
        if not self.fault and self._descriptor >= 0:
            data = _frame(entry_to_plain(entry))
            if self.size + len(data) > self._limit:
                self.fault = f"the log has its {self._limit >> 20} MiB"
            else:
                self._write(data)

    def close(self) -> None:
        """Nothing more will come."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                written = os.write(self._descriptor, left)
                self.size += written
                left = left[written:]
        except OSError as error:
            self.fault = error.strerror or "cannot write"


def read(path: Path) -> Log:
    """Read a log. Raises SnapshotCorruptError; a torn end is no error."""
    try:
        data = files.read(path, LIMIT + MOST_FRAME)
    except OSError as error:
        raise SnapshotCorruptError(f"{path}: cannot be read: {error.strerror}") from None
    if not data.startswith(MARK):
        raise SnapshotCorruptError(f"{path}: is not an input log")
    header: Header | None = None
    entries: list[Entry] = []
    budget = cbor.Budget(cbor.BUDGET + _GROWTH * len(data))
    at = len(MARK)
    torn = False
    while at < len(data):
        start = at + _FRAME.size
        if start > len(data):
            torn = True
            break
        length, crc = _FRAME.unpack_from(data, at)
        body = data[start : start + length]
        if length > MOST_FRAME or len(body) < length or zlib.crc32(body) != crc:
            if length <= MOST_FRAME and start + length < len(data):
                raise SnapshotCorruptError(f"{path}: damaged at byte {at:#x}")
            torn = True
            break
        try:
            value = cbor.decode(body, budget)
            if header is None:
                header = header_from_plain(value)
            else:
                entries.append(entry_from_plain(value))
        except cbor.CborError as error:
            raise SnapshotCorruptError(f"{path}: at byte {start:#x}: {error}") from None
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise SnapshotCorruptError(
                f"{path}: at byte {start:#x}: cannot be understood: {error}"
            ) from None
        at = start + length
    if header is None:
        raise SnapshotCorruptError(f"{path}: has no header")
    return Log(path, header, entries, torn)


def _frame(value: Plain) -> bytes:
    body = cbor.encode(value)
    return _FRAME.pack(len(body), zlib.crc32(body)) + body
