# SPDX-License-Identifier: BSD-2-Clause
"""ext2, ext3 and ext4: which files differ between two volumes, by the tools of e2fsprogs.

Both are copied, with holes where there are zeros, and what their journals hold is put in place:
they are what the guest would find after a mount. Then only what differs is looked at: inodes whose
own bytes do (times of reading aside), and those that have blocks which do. debugfs names them.

The volumes are the guest's, so the tools get so much memory, output and time and no more; debugfs
cuts a path that a loop of directories makes endless.

Layout of the inode and of the superblock: Linux, Documentation/filesystems/ext4.
"""

from __future__ import annotations

import os
import re
import stat
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

from manager import scratch
from manager.lazy import dataclass
from manager.storage import tools
from manager.storage.filesystems.volume import FileChange, Kind, LimitError, Ranges, Volume

MOST_BYTES = 8 << 30
"""That are copied of a volume."""
MOST_INODES = 20_000
"""That differ, and are named."""
MOST_BLOCKS = 20_000
"""That differ, for which it is asked whose they are: debugfs compares each with all there are."""
_LIMITS = tools.Limits(seconds=60, memory=1 << 30, output=16 << 20)
_SUPERBLOCK, _MAGIC_AT, _MAGIC = 1024, 56, b"\x53\xef"
_ROOT, _FIRST_FILE = 2, 11
_WINDOW = 1 << 20
_AT_ONCE = 10_000
"""Numbers in one command of debugfs."""
_NOT_COMPARED = ((0x08, 4), (0x7C, 2), (0x82, 2), (0x8C, 4))
"""Of an inode: when it was read (seconds and the rest), and its checksum in two halves."""


def is_ext(volume: Volume) -> bool:
    """Whether it has the superblock of ext2, ext3 or ext4. Raises OSError."""
    return volume.read(_SUPERBLOCK + _MAGIC_AT, 2) == _MAGIC


def changed(one: Volume, other: Volume, ranges: Ranges) -> Iterator[FileChange]:
    """Each file that differs, by path. Raises OSError, LimitError, HostError.

    Where is found here, as journals change more than `ranges`.
    """
    with scratch.folder("vmmgr-diff-") as folder:
        before = _Side.made(one, folder / "one")
        after = _Side.made(other, folder / "other")
        if before.layout != after.layout:
            raise LimitError("it was made anew, or has another size")
        inodes = sorted(_differing(before, after))
        if len(inodes) > MOST_INODES:
            raise LimitError(f"more than {MOST_INODES} files differ")
        old, new = before.paths(inodes), after.paths(inodes)
        for path in sorted(old.keys() | new.keys()):
            if (change := _change(path, before, after, old.get(path), new.get(path))) is not None:
                yield change


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the inodes are; equal in two states of one file system."""

    uuid: str
    block: int
    inode: int
    per_group: int
    tables: tuple[int, ...]
    """The first block of each group's inodes."""

    @classmethod
    def of(cls, path: Path) -> _Layout:
        told = tools.run("dumpe2fs", [path], why=_WHY, limits=_LIMITS).decode(errors="replace")

        def number(name: str) -> int:
            found = re.search(rf"^{name}:\s+(\d+)$", told, re.MULTILINE)
            if found is None or not 0 < int(found[1]) < 1 << 32:
                raise LimitError("no tool can tell where its inodes are")
            return int(found[1])

        block, inode = number("Block size"), number("Inode size")
        if block % inode:
            raise LimitError("no tool can tell where its inodes are")
        uuid = re.search(r"^Filesystem UUID:\s+(\S+)$", told, re.MULTILINE)
        tables = re.findall(r"^  Inode table at (\d+)-", told, re.MULTILINE)
        return cls(
            uuid[1] if uuid else "",
            block,
            inode,
            number("Inodes per group"),
            tuple(map(int, tables)),
        )


_WHY = "comparing the files of ext4"


@dataclass(frozen=True, slots=True)
class _Side:
    """A copy of a volume as a mount would find it."""

    path: Path
    layout: _Layout

    @classmethod
    def made(cls, volume: Volume, path: Path) -> _Side:
        copied = 0
        with path.open("xb", buffering=0) as file:
            file.truncate(volume.size)
            for offset, content in volume.may_differ_from_zero():
                copied += len(content)
                if copied > MOST_BYTES:
                    raise LimitError(f"it has more than {MOST_BYTES >> 30} GiB of content")
                os.pwrite(file.fileno(), content, offset)
        tools.run(
            "e2fsck", ["-p", "-E", "journal_only", path], why=_WHY, limits=_LIMITS, fine=(0, 1)
        )
        return cls(path, _Layout.of(path))

    def owners(self, blocks: list[int]) -> Iterator[int]:
        """The inodes that have these blocks."""
        for line in self._ask("icheck", blocks):
            _, _, inode = line.partition("\t")
            if inode.isdecimal():
                yield int(inode)

    def paths(self, inodes: list[int]) -> dict[str, int]:
        """The path of each name that an inode has."""
        found = {}
        for line in self._ask("ncheck", inodes):
            inode, _, path = line.partition("\t")
            if inode.isdecimal():
                found[path.lstrip("/")] = int(inode)
        return found

    def _ask(self, command: str, numbers: list[int]) -> Iterator[str]:
        for at in range(0, len(numbers), _AT_ONCE):
            line = f"{command} {' '.join(map(str, numbers[at : at + _AT_ONCE]))}"
            said = tools.run("debugfs", ["-R", line, self.path], why=_WHY, limits=_LIMITS)
            yield from said.decode(errors="surrogateescape").split("\n")

    def inode(self, number: int) -> bytes:
        """Its bytes, but for what reading a file changes."""
        layout = self.layout
        group, index = divmod(number - 1, layout.per_group)
        if not 0 <= group < len(layout.tables):
            return b""
        with self.path.open("rb") as file:
            file.seek(layout.tables[group] * layout.block + index * layout.inode)
            content = bytearray(file.read(layout.inode))
        for at, length in _NOT_COMPARED:
            content[at : at + length] = bytes(len(content[at : at + length]))
        return bytes(content)


def _change(
    path: str, before: _Side, after: _Side, old: int | None, new: int | None
) -> FileChange | None:
    """What became of a path that named the inode `old` and names `new`, each if any."""
    kind: Kind = "added" if old is None else "removed" if new is None else "changed"
    inodes = [side.inode(n) for side, n in ((before, old), (after, new)) if n is not None]
    is_directory = stat.S_ISDIR(int.from_bytes(inodes[-1][:2], "little"))
    if old == new and is_directory and _owner(inodes[0]) == _owner(inodes[1]):
        return None  # what is in it has changed, and has lines of its own
    return FileChange(kind, path + ("/" if is_directory else ""))


def _owner(inode: bytes) -> tuple[bytes, ...]:
    """Kind, permissions, owner and group, as they are stored."""
    return inode[:4], inode[0x18:0x1A], inode[0x78:0x7C]


def _differing(before: _Side, after: _Side) -> set[int]:
    """The inodes that differ, or have blocks that do."""
    layout = before.layout
    tables = sorted((first, group) for group, first in enumerate(layout.tables))
    firsts = [first for first, _ in tables]
    per_block = layout.block // layout.inode
    length = -(-layout.per_group // per_block)
    found, blocks = set[int](), []
    for block in _differing_blocks(before.path, after.path, layout.block):
        at = bisect_right(firsts, block) - 1
        into = block - firsts[at] if at >= 0 else length
        if into >= length:
            blocks.append(block)
            continue
        first = tables[at][1] * layout.per_group + into * per_block + 1
        found.update(
            n for n in range(first, first + per_block) if before.inode(n) != after.inode(n)
        )
    # Whatever Linux writes to a file is in the times of its inode too, sooner or later.
    if len(blocks) <= MOST_BLOCKS:
        for side in (before, after):
            found.update(side.owners(blocks))
    return {number for number in found if number == _ROOT or number >= _FIRST_FILE}


def _differing_blocks(one: Path, other: Path, block: int) -> Iterator[int]:
    with one.open("rb", buffering=0) as first, other.open("rb", buffering=0) as second:
        fds = (first.fileno(), second.fileno())
        at, end = 0, os.fstat(fds[0]).st_size
        while (at := min(_data_from(fd, at, end) for fd in fds)) < end:
            at -= at % block
            before, after = (os.pread(fd, _WINDOW, at) for fd in fds)
            if before != after:
                for start in range(0, len(before), block):
                    if before[start : start + block] != after[start : start + block]:
                        yield (at + start) // block
            at += _WINDOW


def _data_from(fd: int, at: int, end: int) -> int:
    """Where the next content that is no hole begins."""
    try:
        return os.lseek(fd, at, os.SEEK_DATA)
    except OSError:
        return end
