# SPDX-License-Identifier: BSD-2-Clause
"""Deciding how RAM is saved: whole, or as the pages that differ from an object that is there."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path

from manager.bus.memory import PAGE, Ram
from manager.lazy import dataclass
from manager.snapshot import ram, runs
from manager.snapshot.backing import Backing, backing_of, begin
from manager.snapshot.image import RamRegion
from manager.snapshot.manifest import RamEntry, RamObject
from manager.snapshot.written import Written

_LARGE = 16 << 20
FOLD = 4
"""A delta beyond this fraction of its base makes way for a new base: a quarter."""


@dataclass(slots=True)
class SavedRam:
    """RAM that has been made part of a snapshot, though nothing names it yet."""

    directory: Path
    objects: dict[str, RamObject] = field(default_factory=dict)
    entries: list[RamEntry] = field(default_factory=list)
    parents: list[bytes] = field(default_factory=list)
    """Id of the snapshot that the machine went on from."""
    fresh: tuple[RamRegion, ...] = ()
    """Regions that were written whole."""
    _sources: list[Path] = field(default_factory=list)

    @classmethod
    def write(
        cls, regions: Sequence[RamRegion], directory: Path, reuse: Path | None = None
    ) -> SavedRam:
        """Write all of RAM into `directory`, durably but for the directory itself.

        Objects that the snapshot `reuse` has, or the one that RAM came from, are linked. Raises
        OSError, ValueError for RAM that is not made of whole pages.
        """
        saved = cls(directory, _sources=[reuse] if reuse else [])
        device = directory.stat().st_dev
        deltas: list[tuple[RamEntry, memoryview]] = []
        for region in sorted(regions, key=lambda region: region.base):
            view = memoryview(region.data).cast("B")
            if not view or region.base % PAGE or len(view) % PAGE:
                raise ValueError(f"RAM at {region.base:#x} is not a whole number of pages")
            if (before := backing_of(region.data)) is not None and not saved.parents:
                saved.parents.append(before.snapshot)
            changed = None if before is None else _worthwhile(before, region.data, device)
            if before is None or changed is None:
                saved._add_whole(region, view)
                continue
            saved._link_base(before)
            entry = RamEntry(region.base, len(view), before.base.file, before.offset, runs=changed)
            saved.entries.append(entry)
            if changed:
                deltas.append((entry, view))
        if deltas:
            saved._add_delta(deltas)
        return saved

    def _link_base(self, before: Backing) -> None:
        base = before.base
        if base.file not in self.objects:
            if not ram.link_object(before.directory, self.directory, base):
                raise FileNotFoundError(
                    errno.ENOENT, "the RAM it shares has gone", before.directory / base.file
                )
            self.objects[base.file] = base
        if before.directory not in self._sources:
            self._sources.append(before.directory)

    def _add_whole(self, region: RamRegion, view: memoryview) -> None:
        found = self._add_object(view)
        self.entries.append(RamEntry(region.base, len(view), found.file, 0))
        self.fresh += (region,)

    def _add_delta(self, deltas: list[tuple[RamEntry, memoryview]]) -> None:
        content = bytearray()
        for entry, view in deltas:
            entry.delta_offset = len(content)
            for first, pages in runs.pairs(entry.runs):
                content += view[first * PAGE : (first + pages) * PAGE]
        found = self._add_object(memoryview(content))
        for entry, _ in deltas:
            entry.delta = found.file

    def _add_object(self, view: memoryview) -> RamObject:
        """Write an object unless it is there. Large ones are hashed while they are written."""
        if len(view) <= _LARGE:
            found = ram.hashed(view)
            if not self._has(found):
                ram.write_object(self.directory / found.file, view)
        else:
            part = self.directory / f"part{len(self.objects)}"
            with ram.writing(part, view):
                found = ram.hashed(view)
            if self._has(found):
                part.unlink()
            else:
                part.rename(self.directory / found.file)
        self.objects[found.file] = found
        return found

    def _has(self, found: RamObject) -> bool:
        return found.file in self.objects or any(
            ram.link_object(source, self.directory, found) for source in self._sources
        )


def _worthwhile(before: Backing, memory: object, device: int) -> bytes | None:
    """The pages that differ from the base; None if all are better saved anew."""
    assert isinstance(memory, Ram)
    if not before.can_link(device):
        return None
    stored = (before.directory / before.base.file).stat().st_blocks * 512
    try:
        changed = before.changed(memory)
    except OSError:
        return None
    return changed if runs.size(changed) * FOLD <= stored else None


def committed(regions: Sequence[RamRegion], written: Written, *, goes_on: bool) -> None:
    """Take note of a commit: what was saved is what the next one is compared with.

    Only now, after the commit: had it failed, all that changed would still count as changed.
    """
    manifest = written.manifest
    entries = {entry.base: entry for entry in manifest.ram}
    objects = {entry.file: entry for entry in manifest.objects}
    fresh = {id(region) for region in written.fresh}
    for region in regions:
        before = backing_of(region.data)
        if id(region) not in fresh:
            assert before is not None
            before.directory, before.snapshot = written.directory, written.id
        elif goes_on and isinstance(region.data, Ram):
            entry = entries[region.base]
            begin(region.data, written.directory, written.id, objects[entry.file], entry)
