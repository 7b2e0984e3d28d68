# SPDX-License-Identifier: BSD-2-Clause
"""Flatten, rebase, clone, list, compare: what is stored changes, what it says does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manager.errors import SnapshotMismatchError, WrongStateError
from manager.snapshot import rewrite, runs
from manager.snapshot.compare import ram_differences
from manager.snapshot.image import Image, RamRegion
from manager.snapshot.listing import listed, tree
from manager.snapshot.read import open_snapshot, verify_snapshot
from manager.snapshot.store import Store
from manager.snapshot.write import write_snapshot

PAGE = 4096
MakeImage = Callable[..., Image]
Save = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def save(store: Store, make_image: MakeImage) -> Save:
    """Go on from a tag, change those pages, save under another."""

    def save(tag: str, source: str = "", pages: tuple[int, ...] = ()) -> Path:
        if not source:
            content = bytearray(b"\x11" * (300 * PAGE))
            return store.commit(make_image(ram=[RamRegion(0x100000, content)]), tag)
        path = store.path(source)
        assert path is not None
        [(base, memory)] = open_snapshot(path).map_ram()
        for page in pages:
            memory[page * PAGE] = 0x77
        return store.commit(make_image(ram=[RamRegion(base, memory)]), tag)

    return save


def content(path: Path) -> list[tuple[int, bytes]]:
    return [(base, memory[:]) for base, memory in verify_snapshot(path).map_ram()]


def state(path: Path) -> Any:
    opened = open_snapshot(path)
    chunks = [(entry.id, opened.payload(entry)) for entry in opened.manifest.chunks]
    return opened.manifest.header, opened.manifest.config, opened.manifest.parents, chunks


def test_a_flattened_snapshot_has_no_delta_and_the_same_content(
    save: Save, store: Store, tmp_path: Path
) -> None:
    save("base")
    path = save("current", "base", (3, 4))

    rewrite.flatten(open_snapshot(path), tmp_path / "flat")

    assert open_snapshot(tmp_path / "flat").manifest.ram[0].runs == b""
    assert content(tmp_path / "flat") == content(path)
    assert state(tmp_path / "flat") == state(path)


def test_an_unknown_optional_chunk_survives(
    saved: Path, forge: Callable[..., None], tmp_path: Path
) -> None:
    def edit(tree: dict[str, Any], payloads: dict[str, bytes]) -> None:
        entry = dict(tree["chunks"][-1], id="picture", kind="picture", codec="png", raw=4)
        tree["chunks"].append(entry | {"mandatory": False})
        payloads["picture"] = b"\x89PNG"

    forge(saved, edit)
    rewrite.flatten(open_snapshot(saved), tmp_path / "flat")

    opened = open_snapshot(tmp_path / "flat")
    assert [opened.payload(entry) for entry in opened.unknown] == [b"\x89PNG"]


def test_a_rebased_snapshot_shares_the_base_and_stores_what_differs(
    save: Save, tmp_path: Path, make_image: MakeImage
) -> None:
    base = save("base")
    other = bytearray(content(base)[0][1])
    other[7 * PAGE] = 1
    other[299 * PAGE] = 2
    write_snapshot(tmp_path / "own", make_image(ram=[RamRegion(0x100000, other)]))

    rewrite.rebase(open_snapshot(tmp_path / "own"), open_snapshot(base), tmp_path / "rebased")

    entry = open_snapshot(tmp_path / "rebased").manifest.ram[0]
    assert list(runs.pairs(entry.runs)) == [(7, 1), (299, 1)]
    assert (tmp_path / "rebased" / entry.file).stat().st_ino == (base / entry.file).stat().st_ino
    assert content(tmp_path / "rebased") == [(0x100000, bytes(other))]


def test_rebasing_onto_another_layout_is_refused(save: Save, saved: Path, tmp_path: Path) -> None:
    with pytest.raises(SnapshotMismatchError, match="not laid out"):
        rewrite.rebase(open_snapshot(saved), open_snapshot(save("base")), tmp_path / "out")


def test_a_clone_shares_every_file_and_goes_its_own_way(
    save: Save, store: Store, make_image: MakeImage, tmp_path: Path
) -> None:
    path = save("current")
    twin = Store(tmp_path / "twin")

    cloned = twin.clone(path)

    assert {entry.stat().st_ino for entry in cloned.iterdir()} == {
        entry.stat().st_ino for entry in path.iterdir()
    }
    store.discard()
    [(base, memory)] = verify_snapshot(cloned).map_ram()
    memory[0] = 1
    changed = twin.commit(make_image(ram=[RamRegion(base, memory)]))
    assert content(changed) == [(base, memory[:])]
    with pytest.raises(WrongStateError):
        twin.clone(changed)


def test_the_list_tells_names_sizes_and_parents(save: Save, store: Store) -> None:
    save("base")
    save("left", "base", (1,))
    save("right", "base", (2, 3))
    save("current", "left", (9,))
    current = store.current()
    assert current is not None
    store.tag("also", current)

    found = listed(store)

    assert [item.tags for item in found] == [
        ("base",),
        ("left",),
        ("right",),
        ("also", "current"),
    ]
    base, left, right, last = found
    assert left.parent == right.parent == base.id
    assert last.parent == left.id
    assert base.logical > 300 * PAGE
    assert base.on_disk >= 300 * PAGE
    assert left.unique < 64 << 10
    assert left.on_disk > 300 * PAGE
    assert [(depth, item.tags[0]) for depth, item in tree(found)] == [
        (0, "base"),
        (1, "left"),
        (2, "also"),
        (1, "right"),
    ]


def test_a_damaged_snapshot_is_listed_with_its_fault(save: Save, store: Store) -> None:
    path = save("base")
    (path / "snapshot.vmms").chmod(0o600)
    (path / "snapshot.vmms").write_bytes(b"nonsense")

    [item] = listed(store)

    assert "not a snapshot" in item.fault
    assert item.on_disk > 0
    assert [depth for depth, _ in tree([item])] == [0]


def test_gc_removes_what_a_killed_commit_left_and_nothing_else(save: Save, store: Store) -> None:
    kept = save("base")
    left = store.root / ".000002.tmp-999"
    left.mkdir()
    (left / "x.ram").write_bytes(b"x" * 8192)

    assert store.collect() == 8192
    assert not left.exists()
    assert content(kept)


def test_the_pages_that_differ_are_found_with_and_without_a_common_base(
    save: Save, tmp_path: Path
) -> None:
    base = save("base")
    one, other = save("one", "base", (1, 2, 50)), save("other", "base", (2, 51, 299))
    rewrite.flatten(open_snapshot(other), tmp_path / "flat")
    expected = [(0x101000, PAGE), (0x132000, 2 * PAGE), (0x22B000, PAGE)]

    assert ram_differences(open_snapshot(one), open_snapshot(other)) == expected
    assert ram_differences(open_snapshot(one), open_snapshot(tmp_path / "flat")) == expected
    assert ram_differences(open_snapshot(base), open_snapshot(base)) == []
