# SPDX-License-Identifier: BSD-2-Clause
"""What vmmgr says it has kept survives a loss of power: contents reach the disk before names do.

fsync(2): a file's content and the entry in its directory are two things; each needs a call of its
own, and a rename that overtakes the content leaves an empty file after a crash.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manager.snapshot import archive
from manager.snapshot.image import Image
from manager.snapshot.read import open_snapshot
from manager.snapshot.store import Store
from manager.state.last_run import LastRun, read_last_run, write_last_run

MakeImage = Callable[..., Image]
Call = tuple[str, Path]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """("sync", what) and ("name", what it is called from now on), as they are done."""
    seen: list[Call] = []
    fsync = os.fsync

    def sync(descriptor: int) -> None:
        fsync(descriptor)
        seen.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink()))

    monkeypatch.setattr(os, "fsync", sync)
    for name in ("rename", "replace"):
        original: Any = getattr(os, name)

        def moved(source: Path, target: Path, original: Any = original) -> None:
            original(source, target)
            seen.append(("name", Path(target)))

        monkeypatch.setattr(os, name, moved)
    return seen


def test_a_last_run(tmp_path: Path, calls: list[Call]) -> None:
    path = tmp_path / "machine.json"

    write_last_run(path, LastRun("demo", "/demo.toml"))

    assert [kind for kind, _ in calls] == ["sync", "name", "sync"]
    (_, content), (_, name), (_, directory) = calls
    assert (content.parent, name, directory) == (tmp_path, path, tmp_path)
    assert content != path
    assert read_last_run(path) == LastRun("demo", "/demo.toml")


def test_a_commit(tmp_path: Path, calls: list[Call], make_image: MakeImage) -> None:
    store = Store(tmp_path / "machine" / "snapshots")

    target = store.commit(make_image(executed=1))

    placed = calls.index(("name", target))
    pointed = calls.index(("name", store.root / "current"))
    synced = {path.name for kind, path in calls[:placed] if kind == "sync"}
    built = {path.parent for kind, path in calls[:placed] if kind == "sync"} - {store.root}
    contents = {entry.name for entry in target.iterdir()}
    renamed = {path.name for kind, path in calls[:placed] if kind == "name"}
    assert contents - renamed <= synced, "a file gets its place before its content is on the disk"
    assert any(("sync", path) in calls[:placed] for path in built), "the names in it"
    assert ("sync", store.root) in calls[placed:pointed], "its own name"
    assert ("sync", store.root) in calls[pointed:], "the name of the link"
    assert ("sync", store.root.parent) in calls[:placed], "the name of the store"


def test_a_discard(tmp_path: Path, calls: list[Call], make_image: MakeImage) -> None:
    store = Store(tmp_path / "snapshots")
    store.commit(make_image(executed=1))
    calls.clear()

    store.discard()

    assert calls == [("sync", store.root)]


def test_an_export_and_an_import(tmp_path: Path, calls: list[Call], make_image: MakeImage) -> None:
    store = Store(tmp_path / "snapshots")
    opened = open_snapshot(store.commit(make_image(executed=1)))
    packed, unpacked = tmp_path / "packed.vmms.tar.zst", tmp_path / "unpacked"
    calls.clear()

    archive.export(opened, packed)
    archive.unpack(packed, unpacked)

    exported, imported = calls.index(("name", packed)), calls.index(("name", unpacked))
    assert [kind for kind, _ in calls[: exported + 2]] == ["sync", "name", "sync"]
    assert calls[exported + 1] == calls[imported + 1] == ("sync", tmp_path)
    synced = {path.name for kind, path in calls[exported + 2 : imported] if kind == "sync"}
    assert {entry.name for entry in unpacked.iterdir()} <= synced
