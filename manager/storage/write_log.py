# SPDX-License-Identifier: BSD-2-Clause
"""The live layer: what a running machine has written, in two files that only grow.

`data` has a slot of one block for each write; `index` says which block each slot is: block + 1 as
a 64-bit little-endian number, later slots over earlier ones. So the content survives the process
without any step at its end. A slot that was never written in `data` is a hole: zeros.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from pathlib import Path

from manager import files
from manager.storage.base import BLOCK
from manager.storage.layer import read_exactly, write_all

_ENTRY = struct.Struct("<Q")
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MOST_ENTRIES = 1 << 16
"""How many index entries are read at once."""


class WriteLog:
    """Slots for blocks. `end` is the next free slot.

    With `holding` the log never refuses: what the host has no room for stays in memory, until
    `retry` gets it written.
    """

    __slots__ = ("_data", "_held", "_index", "end", "holding")

    def __init__(self, data: int, index: int) -> None:
        """The log owns both descriptors. Call `recover` to read what is there."""
        self._data = data
        self._index = index
        self._held: dict[int, tuple[int, bytes]] = {}
        """Slot -> its index entry and content, of what could not be written."""
        self.end = 0
        self.holding = False

    @property
    def held(self) -> int:
        """How many blocks are in memory only."""
        return len(self._held)

    def retry(self) -> None:
        """Write what is held. Raises OSError when there is still no room."""
        for slot in sorted(self._held):
            entry, content = self._held[slot]
            write_all(self._data, content, slot * BLOCK)
            write_all(self._index, _ENTRY.pack(entry), slot * _ENTRY.size)
            del self._held[slot]

    @classmethod
    def nameless(cls, directory: Path | None = None) -> WriteLog:
        """A log whose files vanish with it. Raises OSError."""
        import tempfile

        fds: list[int] = []
        for _ in range(2):
            with tempfile.TemporaryFile(dir=directory) as file:
                fds.append(os.dup(file.fileno()))
        return cls(*fds)

    @classmethod
    def at(cls, path: Path) -> WriteLog:
        """The log in `path`.data and `path`.index, made if it is not there. Raises OSError."""
        flags = os.O_RDWR | os.O_CREAT
        data = files.open_own(path.with_name(f"{path.name}.data"), flags)
        try:
            index = files.open_own(path.with_name(f"{path.name}.index"), flags)
        except BaseException:
            os.close(data)
            raise
        return cls(data, index)

    def recover(self, blocks: int) -> dict[int, int]:
        """Read the index: block -> slot, of a disk of `blocks` blocks. Raises OSError.

        An entry that was being written when the process died, or that is no block of this disk,
        ends the log.
        """
        found: dict[int, int] = {}
        self.end = 0
        while chunk := os.pread(self._index, _MOST_ENTRIES * _ENTRY.size, self.end * _ENTRY.size):
            for (entry,) in _ENTRY.iter_unpack(chunk[: len(chunk) & -_ENTRY.size]):
                if not 0 < entry <= blocks:
                    self.truncate(self.end)
                    return found
                found[entry - 1] = self.end
                self.end += 1
            if len(chunk) < _MOST_ENTRIES * _ENTRY.size:
                break
        self.truncate(self.end)
        return found

    def append(self, first: int, count: int, content: bytes | memoryview | None) -> int:
        """Put `count` blocks from `first` on into new slots; return the first of these.

        None for content stands for zeros. Raises OSError, and then nothing has been added.
        """
        slot = self.end
        entries = struct.pack(f"<{count}Q", *range(first + 1, first + 1 + count))
        try:
            if self._held:
                raise OSError(errno.ENOSPC, "what came before is still held")
            if content is not None:
                write_all(self._data, content, slot * BLOCK)
            write_all(self._index, entries, slot * _ENTRY.size)
        except OSError as error:
            if not self.holding or error.errno not in NO_ROOM:
                raise
            content = bytes(count * BLOCK) if content is None else bytes(content)
            for n in range(count):
                self._hold(slot + n, first + n + 1, content[n * BLOCK : (n + 1) * BLOCK])
        self.end = slot + count
        return slot

    def rewrite(self, slot: int, content: bytes | memoryview) -> None:
        """Write over slots from `slot` on. Raises OSError."""
        count = len(content) // BLOCK
        if self._held and any(slot + n in self._held for n in range(count)):
            for n in range(count):
                entry = self._held[slot + n][0] if slot + n in self._held else self._entry(slot + n)
                self._hold(slot + n, entry, bytes(content[n * BLOCK : (n + 1) * BLOCK]))
            return
        # A slot has its room already, unless it is a hole.
        try:
            write_all(self._data, content, slot * BLOCK)
        except OSError as error:
            if not self.holding or error.errno not in NO_ROOM:
                raise
            for n in range(count):
                piece = bytes(content[n * BLOCK : (n + 1) * BLOCK])
                self._hold(slot + n, self._entry(slot + n), piece)

    def read(self, slot: int, count: int) -> bytes:
        """`count` blocks from `slot` on. Raises OSError."""
        if self._held and any(slot + n in self._held for n in range(count)):
            return b"".join(
                self._held[slot + n][1]
                if slot + n in self._held
                else read_exactly(self._data, BLOCK, (slot + n) * BLOCK)
                for n in range(count)
            )
        return read_exactly(self._data, count * BLOCK, slot * BLOCK)

    def _hold(self, slot: int, entry: int, content: bytes) -> None:
        self._held[slot] = (entry, content)

    def _entry(self, slot: int) -> int:
        entry: int = _ENTRY.unpack(os.pread(self._index, _ENTRY.size, slot * _ENTRY.size))[0]
        return entry

    def truncate(self, end: int) -> None:
        """Forget all slots from `end` on. Raises OSError."""
        # First the index: data without an entry is harmless, an entry without data is not.
        for slot in [slot for slot in self._held if slot >= end]:
            del self._held[slot]
        os.ftruncate(self._index, end * _ENTRY.size)
        os.ftruncate(self._data, end * BLOCK)
        self.end = end

    def sync(self) -> None:
        """Make it survive a failure of the host. Raises OSError."""
        os.fdatasync(self._data)
        os.fdatasync(self._index)

    def close(self) -> None:
        """Close the files."""
        for fd in (self._data, self._index):
            if fd >= 0:
                os.close(fd)
        self._data = self._index = -1

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        # A disk that was dropped without a close; `os` may be gone when the interpreter ends.
        for fd in (self._data, self._index):
            if fd >= 0:
                close(fd)
