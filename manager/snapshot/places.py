# SPDX-License-Identifier: BSD-2-Clause
"""What a stretch of an object is to the guest: pages of RAM, or blocks of a disk."""

from __future__ import annotations

from collections.abc import Iterator

from manager.bus.memory import PAGE
from manager.snapshot import runs
from manager.snapshot.disk_entry import DiskEntry
from manager.snapshot.manifest import Manifest, RamEntry

Held = Iterator[tuple[tuple[int, int], tuple[int, int]]]
"""The (page, offset in the file) at which each part begins, and at which it ends."""


def place_of(manifest: Manifest, file: str, start: int, end: int) -> str:
    """What bytes [start, end) of the object `file` are, in words."""
    pages = [found for region in manifest.ram for found in _within(_ram(region, file), start, end)]
    if pages:
        return f"{_span('page', min(pages), max(pages))} of guest RAM"
    for disk in manifest.disks:
        if blocks := list(_within(_blocks(disk, file), start, end)):
            return f"{_span('block', min(blocks), max(blocks))} of disk {disk.head.id!r}"
    return "no page of guest RAM and no block of a disk"


def _span(what: str, low: int, high: int) -> str:
    return f"{what} {low:#x}" if low == high else f"{what}s {low:#x}-{high:#x}"


def _within(held: Held, start: int, end: int) -> Iterator[int]:
    for first, last in held:
        if start < last[1] and first[1] < end:
            yield first[0] + max(start - first[1], 0) // PAGE
            yield last[0] - 1 - max(last[1] - end, 0) // PAGE


def _ram(region: RamEntry, file: str) -> Held:
    base = region.base // PAGE
    if file == region.file:
        last = (base + region.length // PAGE, region.offset + region.length)
        yield (base, region.offset), last
    if file == region.delta:
        yield from _packed(base, region.runs, region.delta_offset)


def _blocks(disk: DiskEntry, file: str) -> Held:
    for layer in disk.layers:
        if file == layer.file:
            yield from _packed(0, layer.runs, 0)


def _packed(base: int, runs_of: bytes, at: int) -> Held:
    for first, count in runs.pairs(runs_of):
        start = (base + first, at)
        at += count * PAGE
        yield start, (base + first + count, at)
