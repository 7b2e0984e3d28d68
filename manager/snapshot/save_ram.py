# SPDX-License-Identifier: BSD-2-Clause
"""Deciding how RAM is saved: whole, or as the pages that differ from an object that is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from manager.bus.memory import PAGE, Ram
from manager.snapshot import origin, ram, runs
from manager.snapshot.image import RamRegion
from manager.snapshot.manifest import RamEntry, RamObject
from manager.snapshot.origin import Origin

if TYPE_CHECKING:
    from manager.snapshot.write import Written

FOLD = 4
"""A delta beyond this fraction of its base makes way for a new base: a quarter."""


@dataclass(slots=True)
class SavedRam:
    """RAM as it will be saved."""

    objects: dict[str, RamObject] = field(default_factory=dict)
    entries: list[RamEntry] = field(default_factory=list)
    parents: list[bytes] = field(default_factory=list)
    """Id of the snapshot that the machine went on from."""
    fresh: tuple[RamRegion, ...] = ()
    """Regions that are written whole."""
    _new: dict[str, tuple[ram.Scan, memoryview]] = field(default_factory=dict)
    _linked: dict[str, Path] = field(default_factory=dict)

    @classmethod
    def of(cls, regions: Sequence[RamRegion], device: int) -> SavedRam:
        """Look at all of RAM; `device` is the filesystem that it will be saved on."""
        saved = cls()
        deltas: list[tuple[RamEntry, memoryview]] = []
        for region in sorted(regions, key=lambda region: region.base):
            view = memoryview(region.data).cast("B")
            if not view or region.base % PAGE or len(view) % PAGE:
                raise ValueError(f"RAM at {region.base:#x} is not a whole number of pages")
            if (before := _origin(region)) is not None and not saved.parents:
                saved.parents.append(before.snapshot)
            changed = None if before is None else _worthwhile(before, region.data, device)
            if before is None or changed is None:
                saved._add_whole(region, view)
                continue
            base = before.base
            saved.objects[base.file] = base
            saved._linked[base.file] = before.directory
            entry = RamEntry(region.base, len(view), base.file, before.offset, runs=changed)
            saved.entries.append(entry)
            if changed:
                deltas.append((entry, view))
        if deltas:
            saved._add_delta(deltas)
        return saved

    def _add_whole(self, region: RamRegion, view: memoryview) -> None:
        found = ram.scan(view)
        self._add_object(found, view)
        self.entries.append(RamEntry(region.base, len(view), found.entry.file, 0))
        self.fresh += (region,)

    def _add_delta(self, deltas: list[tuple[RamEntry, memoryview]]) -> None:
        content = bytearray()
        for entry, view in deltas:
            entry.delta_offset = len(content)
            for first, pages in runs.pairs(entry.runs):
                content += view[first * PAGE : (first + pages) * PAGE]
        view = memoryview(content)
        found = ram.scan(view)
        self._add_object(found, view)
        for entry, _ in deltas:
            entry.delta = found.entry.file

    def _add_object(self, found: ram.Scan, view: memoryview) -> None:
        self.objects[found.entry.file] = found.entry
        self._new.setdefault(found.entry.file, (found, view))

    def write(self, directory: Path, reuse: Path | None) -> None:
        """Make all objects part of the snapshot in `directory`. Raises OSError."""
        for name, source in self._linked.items():
            if not ram.link_object(source, directory, self.objects[name]):
                raise FileNotFoundError(f"{source / name} has gone")
        sources = {*self._linked.values(), *([reuse] if reuse else [])}
        for name, (found, view) in self._new.items():
            linked = name in self._linked
            if not linked and not any(
                ram.link_object(source, directory, found.entry) for source in sources
            ):
                ram.write_object(directory, found, view)


def _origin(region: RamRegion) -> Origin | None:
    found = region.data.origin if isinstance(region.data, Ram) else None
    return found if isinstance(found, Origin) else None


def _worthwhile(before: Origin, memory: object, device: int) -> bytes | None:
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
        before = _origin(region)
        if id(region) not in fresh:
            assert before is not None
            before.directory, before.snapshot = written.directory, written.id
        elif goes_on and isinstance(region.data, Ram):
            entry = entries[region.base]
            origin.begin(region.data, written.directory, written.id, objects[entry.file], entry)
