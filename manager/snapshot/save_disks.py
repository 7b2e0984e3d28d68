# SPDX-License-Identifier: BSD-2-Clause
"""Writing disks into a snapshot: what was written since the last one, as one more layer."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path

from manager import files
from manager.bus.memory import PAGE
from manager.lazy import dataclass
from manager.snapshot import native, ram
from manager.snapshot.disk_entry import MAX_LAYERS, DiskEntry, DiskHead, DiskLayer
from manager.snapshot.manifest import Manifest, RamObject, object_name
from manager.snapshot.written import Written
from manager.storage.base import Zeros
from manager.storage.disk import Disk
from manager.storage.layer import Layer, pack_runs
from manager.storage.write_log import WriteLog

_WINDOW = 4 << 20
_MERGE = 2
"""A layer of no more than this many times the new one's blocks is written anew with it: so the
layers stay few, and a block is written a number of times that grows with the logarithm."""


@dataclass(slots=True)
class DiskBacking:
    """Where the layers of a live disk are kept."""

    directory: Path
    """A snapshot that has them all."""
    objects: dict[str, RamObject]


@dataclass(slots=True)
class SavedDisks:
    """Disks that have been made part of a snapshot, though nothing names it yet."""

    objects: dict[str, RamObject] = field(default_factory=dict)
    entries: list[DiskEntry] = field(default_factory=list)

    @classmethod
    def write(cls, disks: Mapping[str, Disk], directory: Path) -> SavedDisks:
        """Write into `directory`, durably but for the directory itself. Raises OSError."""
        saved = cls()
        for id, disk in disks.items():
            head = DiskHead(id, disk.size, disk.base.digest)
            saved.entries.append(DiskEntry(head, list(saved._layers(disk, directory))))
        return saved

    @classmethod
    def copy(cls, source: Path, manifest: Manifest, directory: Path) -> SavedDisks:
        """The disks of the snapshot in `source`, each with all its blocks in one layer.

        Raises SnapshotCorruptError, OSError.
        """
        saved = cls()
        for entry in manifest.disks:
            layers, _ = layers_of(source, manifest, entry)
            disk = Disk(Zeros(entry.head.size), WriteLog.nameless(directory), layers)
            try:
                copied = DiskEntry(entry.head)
                if blocks := disk.written_blocks():
                    copied.layers.append(saved._add(disk, blocks, directory))
                saved.entries.append(copied)
            finally:
                disk.close()
        return saved

    def _layers(self, disk: Disk, directory: Path) -> Iterator[DiskLayer]:
        kept, blocks = _merged(disk)
        for layer in kept:
            self._link(disk, layer, directory)
            yield DiskLayer(layer.name, layer.runs)
        if blocks:
            yield self._add(disk, blocks, directory)

    def _add(self, disk: Disk, blocks: list[int], directory: Path) -> DiskLayer:
        found = write_blocks(directory, disk.content_of(blocks), len(blocks))
        self.objects[found.file] = found
        return DiskLayer(found.file, pack_runs(blocks))

    def _link(self, disk: Disk, layer: Layer, directory: Path) -> None:
        backing = disk.backing
        assert isinstance(backing, DiskBacking)
        entry = backing.objects[layer.name]
        there = layer.name in self.objects
        if not there and not ram.link_object(backing.directory, directory, entry):
            gone = backing.directory / layer.name
            raise FileNotFoundError(errno.ENOENT, "the disk layer it shares has gone", gone)
        self.objects[layer.name] = entry


def _merged(disk: Disk) -> tuple[tuple[Layer, ...], list[int]]:
    """The layers that stay, and the blocks that the new one has."""
    blocks = disk.unsaved_blocks()
    kept = list(disk.layers)
    while blocks and kept and (kept[-1].blocks <= _MERGE * len(blocks) or len(kept) >= MAX_LAYERS):
        blocks = sorted({*blocks, *kept.pop()})
    return tuple(kept), blocks


def write_blocks(directory: Path, pieces: Iterator[bytes], count: int) -> RamObject:
    """Write `count` blocks as an object, named after its content. Raises OSError."""
    length = count * PAGE
    segment = ram.segment_size(length)
    part = directory / "part-disk"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    fd = os.open(part, flags, 0o600)
    try:
        os.ftruncate(fd, length)
        hashes = bytearray()
        for at, window in _windows(pieces, segment):
            ram.write_pages(fd, memoryview(window), native.nonzero(window), at)
            hashes += ram.segment_hash(window)
        os.fchmod(fd, ram.READ_ONLY)
        os.fsync(fd)
    finally:
        os.close(fd)
    digest = ram.root_hash(length, segment, bytes(hashes))
    found = RamObject(object_name(digest), length, segment, bytes(hashes), digest)
    part.replace(directory / found.file)
    return found


def _windows(pieces: Iterator[bytes], segment: int) -> Iterator[tuple[int, bytearray]]:
    """(offset, content) of each segment."""
    at, window = 0, bytearray()
    for piece in pieces:
        window += piece
        while len(window) >= segment:
            yield at, window[:segment]
            del window[:segment]
            at += segment
    if window:
        yield at, window


def committed_disks(disks: Mapping[str, Disk], written: Written) -> None:
    """The machine goes on from what was just saved. Raises OSError."""
    objects = {entry.file: entry for entry in written.manifest.objects}
    for entry in written.manifest.disks:
        disk = disks[entry.head.id]
        present = {layer.name: layer for layer in disk.layers}
        layers = tuple(
            present[layer.file] if layer.file in present else _open(written.directory, layer)
            for layer in entry.layers
        )
        disk.saved(layers)
        disk.backing = DiskBacking(written.directory, objects)


def layers_of(
    directory: Path, manifest: Manifest, entry: DiskEntry
) -> tuple[tuple[Layer, ...], DiskBacking]:
    """The layers of a disk of the snapshot in `directory`, for a Disk to own.

    Raises SnapshotCorruptError.
    """
    objects = {item.file: item for item in manifest.objects}
    layers = []
    for layer in entry.layers:
        with ram.opened(directory, objects[layer.file], manifest.header.writer) as fd:
            layers.append(Layer(os.dup(fd), layer.runs, layer.file))
    return tuple(layers), DiskBacking(directory, objects)


def _open(directory: Path, layer: DiskLayer) -> Layer:
    return Layer(files.open_own(directory / layer.file), layer.runs, layer.file)
