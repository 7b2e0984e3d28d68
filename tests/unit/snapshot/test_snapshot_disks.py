# SPDX-License-Identifier: BSD-2-Clause
"""Disks in snapshots: in step with the rest, in layers, checked and carried along."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from manager.bus.memory import PAGE
from manager.errors import SnapshotCorruptError
from manager.snapshot import archive, rewrite
from manager.snapshot.image import Image, RamRegion
from manager.snapshot.read import Snapshot, open_snapshot, verify_snapshot
from manager.snapshot.save_disks import layers_of
from manager.snapshot.store import Store
from manager.storage.base import Zeros
from manager.storage.disk import Disk
from manager.storage.write_log import WriteLog

SIZE = 4096 * PAGE


def disk_of(snapshot: Snapshot, name: str = "root") -> Disk:
    entry = next(item for item in snapshot.manifest.disks if item.head.id == name)
    layers, backing = layers_of(snapshot.directory, snapshot.manifest, entry)
    disk = Disk(Zeros(entry.head.size), WriteLog.nameless(), layers)
    disk.backing = backing
    return disk


def content(disk: Disk) -> bytes:
    return b"".join(disk.content())


@pytest.fixture
def disk() -> Disk:
    return Disk(Zeros(SIZE), WriteLog.nameless())


@pytest.fixture
def commit(tmp_path: Path, disk: Disk) -> Callable[..., Snapshot]:
    store = Store(tmp_path / "snapshots")
    image = Image("demo", 1, 2, "i", "f", {}, {}, {}, [RamRegion(0, bytearray(4 * PAGE))])

    def commit(tag: str = "current", disk: Disk = disk) -> Snapshot:
        return open_snapshot(store.commit(replace(image, disks={"root": disk}), tag, goes_on=True))

    return commit


def test_a_restored_disk_is_the_saved_one(disk: Disk, commit: Callable[..., Snapshot]) -> None:
    disk.write(PAGE * 7 + 512, b"hello" * 1000 + bytes(120))
    before = content(disk)
    saved = commit()
    disk.write(0, b"x" * 512)

    assert content(disk_of(saved)) == before


def test_a_save_writes_only_what_changed(
    disk: Disk, commit: Callable[..., Snapshot], tmp_path: Path
) -> None:
    for block in range(0, 4096, 2):
        disk.write(block * PAGE, os.urandom(PAGE))
    first = commit("one")
    disk.write(5 * PAGE, b"y" * PAGE)
    second = commit("two")

    names = {entry.file for entry in first.manifest.objects}
    added = [entry for entry in second.manifest.objects if entry.file not in names]
    assert sum(entry.length for entry in added) == PAGE
    assert content(disk_of(second)) == content(disk)


def test_layers_stay_few_over_many_saves(disk: Disk, commit: Callable[..., Snapshot]) -> None:
    for turn in range(40):
        disk.write(turn * 3 * PAGE, bytes([turn]) * PAGE)
        saved = commit()

    assert len(saved.manifest.disks[0].layers) < 8
    assert content(disk_of(saved)) == content(disk)


def test_a_resumed_disk_is_saved_again(disk: Disk, commit: Callable[..., Snapshot]) -> None:
    disk.write(0, b"a" * PAGE)
    disk.write(9 * PAGE, b"a" * 3 * PAGE)
    resumed = disk_of(commit())
    resumed.write(10 * PAGE, b"b" * PAGE)

    again = disk_of(commit(disk=resumed))

    assert content(again) == content(resumed)


def test_a_flipped_byte_of_a_layer_is_found_and_named(
    disk: Disk, commit: Callable[..., Snapshot]
) -> None:
    disk.write(0x123 * PAGE, b"a" * PAGE)
    saved = commit()
    path = saved.directory / saved.manifest.disks[0].layers[0].file
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.write(b"b")

    with pytest.raises(SnapshotCorruptError, match="block 0x123 of disk 'root'"):
        verify_snapshot(saved.directory)


def test_an_archive_carries_the_disks(
    disk: Disk, commit: Callable[..., Snapshot], tmp_path: Path
) -> None:
    disk.write(3 * PAGE, os.urandom(100 * PAGE))
    saved = commit()
    archive.export(saved, tmp_path / "x.vmms.tar.zst")

    archive.unpack(tmp_path / "x.vmms.tar.zst", tmp_path / "elsewhere")

    assert content(disk_of(verify_snapshot(tmp_path / "elsewhere"))) == content(disk)


def test_flattening_leaves_one_layer(
    disk: Disk, commit: Callable[..., Snapshot], tmp_path: Path
) -> None:
    disk.write(0, os.urandom(50 * PAGE))
    commit()
    disk.write(9 * PAGE, os.urandom(PAGE))
    saved = commit()

    rewrite.flatten(saved, tmp_path / "flat")

    flat = verify_snapshot(tmp_path / "flat")
    assert len(flat.manifest.disks[0].layers) == 1
    assert content(disk_of(flat)) == content(disk)


def test_a_mark_outlives_a_save(disk: Disk, commit: Callable[..., Snapshot]) -> None:
    disk.write(0, b"a" * PAGE)
    mark = disk.mark()
    before = content(disk)
    disk.write(0, b"b" * PAGE)
    commit()
    disk.write(PAGE, b"c" * PAGE)

    disk.back(mark)

    assert content(disk) == before
