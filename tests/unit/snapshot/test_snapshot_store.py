# SPDX-License-Identifier: BSD-2-Clause
from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manager.errors import HostError, SnapshotCorruptError, UsageError
from manager.snapshot.image import Image, RamRegion
from manager.snapshot.read import open_snapshot, verify_snapshot
from manager.snapshot.store import Store
from manager.snapshot.write import write_snapshot

MakeImage = Callable[..., Image]
CHANGING = [
    *("mkdir", "open", "ftruncate", "pwrite", "write", "fchmod", "fsync", "link"),
    *("rename", "replace", "symlink", "unlink", "rmdir"),
]
"""The calls of the os module through which a commit changes the disk."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "machine" / "snapshots")


@pytest.fixture
def step(make_image: MakeImage) -> Callable[[int], Image]:
    """The machine after `n` steps: one region of RAM has changed, the other has not."""

    def stepped(n: int) -> Image:
        changed = bytearray(0x110000)
        changed[0x5000:0x5004] = changed[0x108000:0x108004] = n.to_bytes(4, "big")
        regions = [RamRegion(0, changed), RamRegion(0x400000, b"same" * 1024)]
        return make_image(executed=n, ram=regions)

    return stepped


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def executed(store: Store) -> int:
    """Which snapshot is current, told by its executed amount; it is checked in full."""
    current = store.current()
    assert current is not None
    return verify_snapshot(current).header.executed


def count_calls(patch: pytest.MonkeyPatch, act: Callable[[int, str], None]) -> list[int]:
    """Have `act(number, name)` run before each call that changes the disk."""
    counter = [0]

    def wrap(name: str) -> None:
        original: Any = getattr(os, name)

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            counter[0] += 1
            act(counter[0], name)
            return original(*args, **kwargs)

        patch.setattr(os, name, wrapper)

    for name in CHANGING:
        wrap(name)
    return counter


def die_at(target: int) -> Callable[[int, str], None]:
    """End the process, as a kill would, instead of call number `target`."""

    def act(number: int, name: str) -> None:
        if number == target:
            os._exit(9)

    return act


def calls_of_a_commit(store: Store, image: Image) -> int:
    with pytest.MonkeyPatch.context() as patch:
        counter = count_calls(patch, lambda number, name: None)
        store.commit(image)
        return counter[0]


def test_a_new_store_is_empty(store: Store) -> None:
    assert store.current() is None
    assert store.tags() == []
    store.discard()


def test_a_commit_replaces_the_current_snapshot(store: Store, make_image: MakeImage) -> None:
    first = store.commit(make_image(executed=1))
    second = store.commit(make_image(executed=2))

    assert store.current() == second
    assert executed(store) == 2
    assert not first.exists()
    assert names(store.root) == [second.name, "current"]


def test_unchanged_ram_is_shared_not_written_again(store: Store, make_image: MakeImage) -> None:
    first = store.commit(make_image(executed=1), "before")
    second = store.commit(make_image(executed=2))

    [name, *_] = sorted(path.name for path in first.glob("*.ram"))
    assert (first / name).stat().st_ino == (second / name).stat().st_ino


def test_a_mapped_snapshot_outlives_its_removal(
    store: Store, make_image: MakeImage, ram: list[tuple[int, bytearray]]
) -> None:
    mapped = open_snapshot(store.commit(make_image())).map_ram()
    regions = [RamRegion(base, mapping) for base, mapping in mapped]
    mapped[0][1][0:1] = b"W"

    store.commit(make_image(ram=regions))
    store.discard()

    assert mapped[0][1][:6] == b"Wector"
    assert mapped[1][1][:] == ram[1][1]


def test_tags_keep_snapshots_until_discarded(store: Store, make_image: MakeImage) -> None:
    tagged = store.commit(make_image(executed=1), "clean-install")
    store.commit(make_image(executed=2))
    store.commit(make_image(executed=3))

    assert store.tags() == ["clean-install", "current"]
    assert store.path("clean-install") == tagged
    assert verify_snapshot(tagged).header.executed == 1

    store.discard("clean-install")
    assert not tagged.exists()
    assert executed(store) == 3


@pytest.mark.parametrize("tag", ["", "../x", "a/b", ".hidden", "000001", "Upper", "a" * 65])
def test_names_that_are_no_tags_are_refused(store: Store, tag: str) -> None:
    with pytest.raises(UsageError, match="cannot name a snapshot"):
        store.path(tag)


@pytest.mark.parametrize("target", ["000009", "../elsewhere", "/etc"])
def test_a_pointer_that_leads_nowhere_good_is_an_error(
    store: Store, make_image: MakeImage, target: str
) -> None:
    store.commit(make_image())
    (store.root / "current").unlink()
    (store.root / "current").symlink_to(target)

    with pytest.raises(SnapshotCorruptError, match="leads to"):
        store.current()
    store.discard()
    assert store.current() is None


def test_a_full_disk_is_reported_and_changes_nothing(
    store: Store, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.commit(make_image(executed=1))

    def full(*args: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(HostError) as caught:
        store.commit(make_image(executed=2))

    assert "cannot write the snapshot" in str(caught.value)
    assert "No space left on device" in str(caught.value)
    assert "help: free some space; what was saved before is untouched" in str(caught.value)
    assert executed(store) == 1
    assert names(store.root) == ["000001", "current"]


def test_a_call_that_fails_once_leaves_the_previous_snapshot_or_the_whole_new_one(
    store: Store, step: Callable[[int], Image]
) -> None:
    def fail_at(target: int) -> Callable[[int, str], None]:
        def act(number: int, name: str) -> None:
            if number == target:
                raise OSError(errno.EIO, f"{name} failed")

        return act

    store.commit(step(1))
    total = calls_of_a_commit(store, step(2))
    failures = 0
    for target in range(1, total + 1):
        before = executed(store)
        with pytest.MonkeyPatch.context() as patch:
            count_calls(patch, fail_at(target))
            try:
                store.commit(step(before + 1))
                expected = before + 1
            except HostError:
                failures += 1
                expected = before
        assert executed(store) == expected, f"call {target} of {total}"
    assert failures > 10


def test_a_disk_that_dies_during_a_commit_leaves_something_whole(
    store: Store, step: Callable[[int], Image]
) -> None:
    def die_from(target: int) -> Callable[[int, str], None]:
        def act(number: int, name: str) -> None:
            if number >= target:
                raise OSError(errno.EIO, f"{name} failed")

        return act

    store.commit(step(1))
    total = calls_of_a_commit(store, step(2))
    for target in range(1, total + 1):
        before = executed(store)
        with pytest.MonkeyPatch.context() as patch:
            count_calls(patch, die_from(target))
            try:
                store.commit(step(before + 1))
                expected = {before + 1}
            except HostError:
                expected = {before, before + 1}
        assert executed(store) in expected, f"call {target} of {total}"


def test_a_kill_at_any_call_leaves_a_whole_snapshot_and_no_litter_after_the_next_commit(
    store: Store, step: Callable[[int], Image]
) -> None:
    store.commit(step(1))
    total = calls_of_a_commit(store, step(2))
    seen = set()
    for target in range(1, total + 1):
        before = executed(store)
        child = os.fork()
        if child == 0:
            count_calls(pytest.MonkeyPatch(), die_at(target))
            store.commit(step(before + 1))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 9
        after = executed(store)
        assert after in (before, before + 1), f"call {target} of {total}"
        seen.add(after - before)
    assert seen == {0, 1}

    last = store.commit(step(99))
    assert names(store.root) == [last.name, "current"]


def test_a_write_killed_at_any_call_leaves_all_of_the_directory_or_nothing(
    tmp_path: Path, step: Callable[[int], Image]
) -> None:
    status, target = 9, 0
    while status == 9:
        target += 1
        directory = tmp_path / str(target)
        child = os.fork()
        if child == 0:
            count_calls(pytest.MonkeyPatch(), die_at(target))
            write_snapshot(directory, step(1))
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if directory.exists():
            verify_snapshot(directory)
    assert status == 0
    assert target > 10
