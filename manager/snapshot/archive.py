# SPDX-License-Identifier: BSD-2-Clause
"""Snapshots as one compressed file: a tar of their files inside one zstd frame.

`tar --zstd -xf` unpacks it. Reading it back checks everything: members must be those that the
manifest names, in its order, of the sizes it states, and every hash is checked before the result
gets its place. A lab's file has a record and then a folder for each machine: see
manager.state.lab_moves.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from manager import files
from manager.errors import HostError, SnapshotCorruptError
from manager.snapshot import native, ram, runs
from manager.snapshot.check import Advance, unwatched
from manager.snapshot.faults import corrupt, host_failures
from manager.snapshot.manifest import RamObject
from manager.snapshot.read import MAX_FILE, Snapshot, decode
from manager.snapshot.write import FILE_NAME, TEMP_MARK, building, write_state

if TYPE_CHECKING:
    import zstandard

SUFFIX = ".vmms.tar.zst"
BLOCK = 512
_END = bytes(2 * BLOCK)
_WINDOW = 1 << 20
_LEVEL = 3
_MAX_WINDOW = 8 << 20
"""What RFC 8878 asks every decoder to have; `export` takes 2 MiB of it."""
_LEAST_STATE = 8 << 20
_MOST_SHRUNK = 64
"""`snapshot.vmms`, which is hashes for the most part, is not compressed to less than a 64th."""
MAX_RAM = 1 << 40
"""What RAM objects may add up to, whatever memory the snapshot says that it has."""
ANOTHER = "ask for the file again: it was damaged on its way, or made by something else"


def export(snapshot: Snapshot, file: Path, advance: Advance = unwatched) -> None:
    """Write all of `snapshot` to the new file `file`, durably; its RAM is checked on the way.

    Raises SnapshotCorruptError, HostError.
    """
    write(file, parts(snapshot), advance)


def write(file: Path, content: Iterable[bytes], advance: Advance = unwatched) -> None:
    """Write the parts of an archive to the new file `file`, durably; `advance` hears their sizes.

    Raises HostError, and what `content` does; then nothing is left behind.
    """
    import zstandard

    if os.path.lexists(file):
        raise HostError(f"{file} exists", help="remove it, or choose another name")
    temp = file.with_name(f".{file.name}{TEMP_MARK}{os.getpid()}")
    with host_failures(f"cannot write {file}", "nothing was written"):
        try:
            fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as stream:
                compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
                with compressor.stream_writer(stream, closefd=False) as out:
                    for part in content:
                        out.write(part)
                        advance(len(part))
                    out.write(_END)
                stream.flush()
                os.fsync(fd)
            temp.rename(file)
            files.sync_directory(file.parent)
        except BaseException:
            temp.unlink(missing_ok=True)
            raise


def parts(snapshot: Snapshot, folder: str = "") -> Iterator[bytes]:
    """What an archive has of a snapshot, whose RAM is checked first."""
    snapshot.verify_ram()
    yield from file_parts(FILE_NAME, snapshot.data, folder)
    for entry in snapshot.manifest.objects:
        yield _header(entry.file, entry.length, folder)
        with ram.opened(snapshot.directory, entry, snapshot.header.writer) as fd:
            for start in range(0, entry.length, _WINDOW):
                yield os.pread(fd, min(_WINDOW, entry.length - start), start)


def file_parts(name: str, data: bytes, folder: str = "") -> Iterator[bytes]:
    """What an archive has of a small file."""
    yield _header(name, len(data), folder)
    yield data
    yield bytes(-len(data) % BLOCK)


def _header(name: str, length: int, folder: str = "") -> bytes:
    """A POSIX ustar header of a regular file, private and undated; 100 and 155 bytes of name."""
    octal = f"{length:011o}".encode() + b"\0"
    # Beyond 8 GiB: the base-256 form that GNU tar introduced.
    size = octal if length < 1 << 33 else b"\x80" + length.to_bytes(11, "big")
    fields = (name.encode().ljust(100, b"\0"), b"0000600\0", b"0000000\0" * 2, size)
    tail = b"0" + bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2
    tail += folder.encode().ljust(155, b"\0") + bytes(12)
    head = b"".join(fields) + b"00000000000\0"
    total = sum(head) + sum(tail) + 8 * ord(" ")
    return head + f"{total:06o}\0 ".encode() + tail


def first_name(file: Path) -> str:
    """The name of the first file in an archive; an empty string for what is none.

    Raises HostError when it cannot be read.
    """
    import zstandard

    with _opened(file) as stream:
        try:
            with zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).stream_reader(
                stream, closefd=False
            ) as reader:
                return reader.read(100).rstrip(b"\0").decode()
        except (zstandard.ZstdError, UnicodeDecodeError):
            return ""


def unpack(file: Path, directory: Path, advance: Advance = unwatched) -> None:
    """Make the snapshot in the archive `file` the new directory `directory`, wholly checked.

    Raises SnapshotCorruptError for anything but what `export` writes, HostError.
    """
    with building(directory) as temp, unpacking(file, advance) as archive:
        archive.snapshot(temp)


@contextmanager
def unpacking(file: Path, advance: Advance = unwatched) -> Iterator[Unpacking]:
    """An archive to be read in the block, wholly: nothing may be left of it at its end.

    Raises SnapshotCorruptError for damage, HostError.
    """
    import zstandard

    with _opened(file) as stream:
        try:
            decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
            with decompressor.stream_reader(
                stream, read_across_frames=False, closefd=False
            ) as reader:
                archive = Unpacking(file, os.fstat(stream.fileno()).st_size, reader, advance)
                yield archive
                archive.end()
        except zstandard.ZstdError as error:
            raise corrupt(file, f"cannot be unpacked: {error}", help=ANOTHER) from None
        if stream.read(1):
            raise corrupt(file, "something follows the snapshot", help=ANOTHER)


def _opened(file: Path) -> IO[bytes]:
    try:
        return os.fdopen(files.open_regular(file), "rb")
    except OSError as error:
        raise HostError(f"{file}: cannot be read: {error.strerror}") from error


def size_fault(snapshot: Snapshot) -> str:
    """Why it is more than a machine of that much memory needs, or an empty string.

    Asked before what comes from elsewhere is unpacked.
    """
    identity = snapshot.manifest.identity
    memory = identity.get("memory") if isinstance(identity, dict) else None
    size = memory.get("size") if isinstance(memory, dict) else None
    limit = min(size, MAX_RAM) if isinstance(size, int) else MAX_RAM
    total = snapshot.ram_size
    if total > limit:
        return f"{total} bytes of RAM in a machine of {limit}"
    total += sum(runs.size(layer.runs) for disk in snapshot.manifest.disks for layer in disk.layers)
    stored = sum(entry.length for entry in snapshot.manifest.objects)
    if stored > 2 * total:
        return f"{stored} bytes of objects for {total} bytes of RAM and disks"
    return ""


class Unpacking:
    """The files of an archive, read one after the other; each must be the one that is expected."""

    def __init__(
        self, file: Path, size: int, reader: zstandard.ZstdDecompressionReader, advance: Advance
    ) -> None:
        self._advance = advance
        self._file = file
        self._most_state = max(_LEAST_STATE, size * _MOST_SHRUNK)
        self._reader: IO[bytes] = reader
        self._at = 0

    def small(self, name: str, most: int, folder: str = "") -> bytes:
        """A file of at most so many bytes."""
        length = self._member(name, None, folder)
        if length > (most := min(most, self._most_state)):
            raise self.fault(f"{name} is larger than {most} bytes")
        data = self._take(length)
        if any(self._take(-length % BLOCK)):
            raise self.fault("the padding is not zeros")
        return data

    def snapshot(self, target: Path, folder: str = "") -> Snapshot:
        """A snapshot, to be written into `target`; every hash is checked."""
        data = self.small(FILE_NAME, MAX_FILE, folder)
        snapshot = decode(target, data)
        if fault := size_fault(snapshot):
            raise self.fault(fault)
        for entry in snapshot.manifest.objects:
            self._member(entry.file, entry.length, folder)
            self._object(target, entry)
        write_state(target, data)
        try:
            snapshot.verify_ram()
        except SnapshotCorruptError as error:
            fault = error.message.partition(": ")[2]
            raise corrupt(self._file, fault, help=ANOTHER) from None
        return snapshot

    def end(self) -> None:
        """All files were read."""
        if self._take(len(_END)) != _END or self._reader.read(1):
            raise self.fault("something follows the last file")

    def _member(self, name: str, expected: int | None, folder: str) -> int:
        header = self._take(BLOCK)
        size = header[124:136]
        try:
            length = int.from_bytes(size[1:], "big") if size[0] == 0x80 else int(size[:11], 8)
        except ValueError:
            length = -1
        if length < 0 or header != _header(name, length, folder):
            where = f"{folder}/{name}" if folder else name
            raise self.fault(f"expected the file {where}")
        if expected is not None and length != expected:
            raise self.fault(f"{name} has {length} bytes instead of {expected}")
        return length

    def _object(self, temp: Path, entry: RamObject) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        fd = os.open(temp / entry.file, flags, 0o600)
        try:
            os.ftruncate(fd, entry.length)
            for start in range(0, entry.length, _WINDOW):
                window = self._take(min(_WINDOW, entry.length - start))
                ram.write_pages(fd, memoryview(window), native.nonzero(window), start)
            os.fchmod(fd, ram.READ_ONLY)
            os.fsync(fd)
        finally:
            os.close(fd)

    def _take(self, length: int) -> bytes:
        taken = self._reader.read(length)  # of which there may be less to begin with
        while len(taken) < length and (more := self._reader.read(length - len(taken))):
            taken += more
        if len(taken) < length:
            raise self.fault("the file ends too early")
        self._at += length
        self._advance(length)
        return taken

    def fault(self, fault: str) -> SnapshotCorruptError:
        """The error for what is wrong here."""
        return corrupt(
            self._file, f"{fault}, at byte {self._at:#x} of the unpacked data", help=ANOTHER
        )
