# SPDX-License-Identifier: BSD-2-Clause
"""Changed pages: found by each way there is, written as a delta, carried over a failure."""

from __future__ import annotations

import errno
import mmap
import os
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.needs import impossible

from manager.bus.memory import PAGE, Ram
from manager.errors import HostError, SnapshotCorruptError
from manager.snapshot import _pages, runs
from manager.snapshot.backing import Backing, CopiedPages, NoTracker, Tracker, WrittenPages
from manager.snapshot.image import Image, RamRegion
from manager.snapshot.read import open_snapshot, verify_snapshot
from manager.snapshot.store import Store
from manager.snapshot.write import write_snapshot

MakeImage = Callable[..., Image]
PAGES = 1024
BASE = 0xC0000


def filled(pages: int = PAGES, seed: int = 1) -> Ram:
    """Guest RAM as after a boot: half of the pages hold something."""
    memory = Ram(-1, pages * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    chance = random.Random(seed)
    for page in range(0, pages, 2):
        memory[page * PAGE : page * PAGE + 64] = chance.randbytes(64)
    return memory


def poke(memory: Ram, *pages: int) -> None:
    for page in pages:
        memory[page * PAGE + 7] ^= 0xFF


class Small:
    """A machine of two regions of RAM and its store."""

    def __init__(self, store: Store, make_image: MakeImage) -> None:
        self.store = store
        self._make_image = make_image
        self.ram = [(0, filled(64)), (BASE, filled())]

    def save(self, tag: str = "current", *, goes_on: bool = False) -> Path:
        regions = [RamRegion(base, memory) for base, memory in self.ram]
        return self.store.commit(self._make_image(ram=regions), tag, goes_on=goes_on)

    def restore(self, tag: str = "current") -> None:
        path = self.store.path(tag)
        assert path is not None
        self.ram = open_snapshot(path).map_ram()

    @property
    def memory(self) -> Ram:
        return self.ram[1][1]

    def content(self) -> list[tuple[int, bytes]]:
        return [(base, memory[:]) for base, memory in self.ram]


def saved_content(path: Path) -> list[tuple[int, bytes]]:
    return [(base, memory[:]) for base, memory in verify_snapshot(path).map_ram()]


def delta_pages(path: Path) -> list[int]:
    """The pages of the high region that the snapshot's delta holds."""
    entry = open_snapshot(path).manifest.ram[1]
    return [page for first, count in runs.pairs(entry.runs) for page in range(first, first + count)]


@pytest.fixture
def small(tmp_path: Path, make_image: MakeImage) -> Small:
    return Small(Store(tmp_path / "snapshots"), make_image)


def _unavailable(*args: Any) -> bytes:
    raise OSError(errno.ENOTTY, "not here")


def copied(*ways: Any) -> Callable[[Ram], CopiedPages]:
    return lambda memory: CopiedPages(*ways)


@pytest.mark.parametrize(
    "make_tracker",
    [
        pytest.param(copied(_pages.scan_copied), id="scan"),
        pytest.param(copied(_pages.pagemap_copied), id="pagemap"),
        pytest.param(copied(_unavailable, _pages.pagemap_copied), id="scan-fails-then-pagemap"),
        pytest.param(WrittenPages, id="userfaultfd"),
        pytest.param(lambda memory: NoTracker(), id="hashes"),
        pytest.param(copied(_unavailable), id="no-pagemap-then-hashes"),
    ],
)
def test_each_way_finds_exactly_the_changed_pages_first_and_last_included(
    small: Small, make_tracker: Callable[[Ram], Tracker]
) -> None:
    small.save()
    small.restore()
    memory = small.memory
    assert isinstance(memory.backing, Backing)
    try:
        memory.backing.tracker = make_tracker(memory)
    except OSError as error:
        impossible(f"the kernel has no such way: {error}")
    assert memory[0:PAGE]
    assert memory[-PAGE:]

    for changed in ([], [0], [0, 1, 255, 256, 257, PAGES - 1]):
        poke(memory, *(page for page in changed if page))
        if 0 in changed:
            memory[1] = changed[-1] & 0xFF or 1
        found = memory.backing.changed(memory)
        pages = [at for first, count in runs.pairs(found) for at in range(first, first + count)]
        assert pages == changed


def test_an_incremental_snapshot_reads_as_a_full_one_and_shares_the_base(
    small: Small, tmp_path: Path, make_image: MakeImage
) -> None:
    first = small.save("first")
    small.restore("first")
    poke(small.memory, 0, 3, 4, PAGES - 1)
    expected = small.content()

    second = small.save()

    assert delta_pages(second) == [0, 3, 4, PAGES - 1]
    assert saved_content(second) == expected
    one, other = (open_snapshot(path).manifest.ram[1].file for path in (first, second))
    assert (first / one).stat().st_ino == (second / other).stat().st_ino
    full = [RamRegion(base, content) for base, content in expected]
    write_snapshot(tmp_path / "full", make_image(ram=full))
    assert saved_content(tmp_path / "full") == expected


def test_the_delta_is_cumulative_however_many_saves_there_are(small: Small) -> None:
    small.save("base")
    for step in range(1, 6):
        small.restore("base" if step == 1 else "current")
        poke(small.memory, 10 * step, 10 * step + 1)
        expected = small.content()
        path = small.save()
        assert delta_pages(path) == [10 * n + i for n in range(1, step + 1) for i in (0, 1)]
        assert saved_content(path) == expected


def test_a_long_run_is_mapped_not_copied_and_still_counts_as_changed(small: Small) -> None:
    small.save("base")
    small.restore("base")
    poke(small.memory, *range(100, 200))
    small.save()
    small.restore()

    assert isinstance(small.memory.backing, Backing)
    copied = runs.count(CopiedPages().changed(small.memory))
    poke(small.memory, 150, 500)
    expected = small.content()
    path = small.save()

    assert copied == 0
    assert delta_pages(path) == [*range(100, 200), 500]
    assert saved_content(path) == expected


def test_nothing_changed_writes_only_the_state_file(small: Small) -> None:
    small.save("base")
    small.restore("base")
    poke(small.memory, 5)
    before = small.save("before")
    small.restore("before")

    after = small.save()

    shared = {entry.stat().st_ino for entry in before.iterdir()}
    new = [entry for entry in after.iterdir() if entry.stat().st_ino not in shared]
    assert [entry.name for entry in new] == ["snapshot.vmms"]
    assert new[0].stat().st_size < 64 << 10


def test_on_tmpfs_holes_take_no_room_however_much_of_ram_is_touched(
    make_image: MakeImage,
) -> None:
    shared_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared_memory) as folder:
        small = Small(Store(Path(folder) / "snapshots"), make_image)
        small.ram[1] = (BASE, filled(4 * PAGES))
        small.memory[PAGE * 100 :] = bytes(PAGE * (4 * PAGES - 100))
        small.save("base")
        small.restore("base")
        poke(small.memory, *range(200, 260), 3)
        small.memory[PAGE * 210 : PAGE * 250] = bytes(PAGE * 40)
        path = small.save()
        before = sum(entry.stat().st_blocks for entry in path.iterdir())
        small.restore()

        content = small.content()
        poke(small.memory, 2000)

        assert sum(entry.stat().st_blocks for entry in path.iterdir()) == before
        assert saved_content(path) == content
        poke(small.memory, 2000)
        small.memory[PAGE * 2000] = 1
        again = small.save()
        assert 2000 in delta_pages(again)
        assert len(delta_pages(again)) < 80
        assert saved_content(again) == small.content()


def test_many_changes_make_a_new_base(small: Small) -> None:
    small.save("base")
    small.restore("base")
    poke(small.memory, *range(0, PAGES, 2))
    expected = small.content()

    path = small.save()

    assert delta_pages(path) == []
    assert saved_content(path) == expected


def test_a_machine_that_goes_on_saves_only_what_it_changed_since(small: Small) -> None:
    first = small.save("first", goes_on=True)
    poke(small.memory, 7, 8)
    expected = small.content()

    second = small.save(goes_on=True)
    poke(small.memory, 9)
    third = small.save("third", goes_on=True)

    assert open_snapshot(first).manifest.parents == []
    assert delta_pages(second) == [7, 8]
    assert delta_pages(third) == [7, 8, 9]
    assert saved_content(second) == expected
    assert saved_content(third) == small.content()
    assert [entry.id for entry in open_snapshot(third).manifest.parents] == [
        open_snapshot(second).id
    ]


def test_a_new_base_of_a_running_machine_starts_the_count_again(small: Small) -> None:
    small.save(goes_on=True)
    poke(small.memory, *range(0, PAGES, 2))
    small.save(goes_on=True)
    poke(small.memory, 11)

    path = small.save(goes_on=True)

    assert delta_pages(path) == [11]
    assert saved_content(path) == small.content()


def test_without_the_kernels_help_a_running_machine_is_still_saved_incrementally(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pages, "open_watch", _unavailable)
    small.save(goes_on=True)
    poke(small.memory, 1, 77)

    path = small.save()

    assert delta_pages(path) == [1, 77]
    assert saved_content(path) == small.content()


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_save_that_fails_loses_no_change(
    small: Small, monkeypatch: pytest.MonkeyPatch, goes_on: bool
) -> None:
    small.save("base", goes_on=goes_on)
    if not goes_on:
        small.restore("base")
    poke(small.memory, 20)

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(HostError, match="No space left"):
            small.save(goes_on=goes_on)
    poke(small.memory, 21)
    path = small.save(goes_on=goes_on)

    assert delta_pages(path) == [20, 21]
    assert saved_content(path) == small.content()


def test_when_the_base_is_gone_the_next_save_is_full(small: Small) -> None:
    small.save()
    small.restore()
    small.store.discard()
    poke(small.memory, 2)

    path = small.save()

    assert delta_pages(path) == []
    assert saved_content(path) == small.content()


def test_a_snapshot_outlives_those_that_it_shares_with(small: Small) -> None:
    small.save("base")
    small.restore("base")
    poke(small.memory, 2)
    path = small.save()
    expected = small.content()

    small.store.discard("base")

    assert saved_content(path) == expected


@pytest.mark.parametrize("which", ["file", "delta"])
def test_a_missing_base_or_delta_is_reported_at_open(small: Small, which: str) -> None:
    small.save("base")
    small.restore("base")
    poke(small.memory, 2)
    path = small.save()
    name = getattr(open_snapshot(path).manifest.ram[1], which)
    (path / name).unlink()

    with pytest.raises(SnapshotCorruptError, match=f"{name}: cannot be opened"):
        open_snapshot(path)


def test_a_flipped_bit_in_a_delta_is_found_with_the_guests_pages(small: Small) -> None:
    small.save("base")
    small.restore("base")
    poke(small.memory, 2, 40, 41)
    path = small.save()
    file = path / open_snapshot(path).manifest.ram[1].delta
    file.chmod(0o600)
    content = bytearray(file.read_bytes())
    content[5000] ^= 1
    file.write_bytes(content)

    with pytest.raises(SnapshotCorruptError, match="pages 0xc2-0xe9 of guest RAM"):
        verify_snapshot(path)


def test_the_independent_reader_reads_an_incremental_snapshot(
    small: Small, reader: ModuleType
) -> None:
    small.save("base")
    small.restore("base")
    poke(small.memory, 0, 2, 3, PAGES - 1)
    path = small.save()

    assert [(base, bytes(content)) for base, content in reader.read(path)["ram"]] == small.content()


PAGE_SETS = st.sets(st.integers(0, 60))


@given(PAGE_SETS, PAGE_SETS)
@settings(max_examples=100)
def test_a_union_of_runs_holds_the_pages_of_both(one: set[int], other: set[int]) -> None:
    packed = [runs.pack((page, 1) for page in sorted(pages)) for pages in (one, other)]

    union = runs.union(*packed)

    assert runs.fault(union, 61) == ""
    assert {at for first, n in runs.pairs(union) for at in range(first, first + n)} == one | other
