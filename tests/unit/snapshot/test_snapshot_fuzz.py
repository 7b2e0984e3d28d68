# SPDX-License-Identifier: BSD-2-Clause
"""Whatever is in a snapshot, reading it ends in a clean error or in something consistent.

The mutator edits the decoded manifest and chunks, and makes all hashes right again, so that the
checks behind the hashes are reached.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manager import cbor
from manager.cli.snapshot.diff import state_differences
from manager.cli.snapshot.show import as_json, as_text
from manager.errors import VmmgrError
from manager.snapshot import manifest, preamble, runs
from manager.snapshot.image import Image, RamRegion
from manager.snapshot.read import open_snapshot
from manager.snapshot.store import Store

ROUNDS = int(os.environ.get("VMMGR_FUZZ_ROUNDS", "250"))
Forge = Callable[..., None]
ODD: list[Any] = [
    0, 1, -1, 4095, 4096, 1 << 20, 1 << 31, 1 << 32, (1 << 52) - 4096, 1 << 63, 1 << 64, 1 << 200,
    "", "x", "../x", "device", "none", "\0", b"", b"\0" * 8, bytes(32), b"\xff" * 64, True, None,
    [], {}, [[]], {"": 0}, [0] * 70,
]  # fmt: skip


def mutate(tree: Any, chance: random.Random) -> None:
    """Change one node of a tree of plain values, somewhere."""
    at = tree
    while True:
        keys: list[Any] = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            return
        key = chance.choice(keys)
        if isinstance(at[key], (dict, list)) and at[key] and chance.random() < 0.85:
            at = at[key]
            continue
        act = chance.randrange(4)
        if act == 0:
            del at[key]
        elif act == 1 and isinstance(at, list):
            at.insert(key, at[key])
        elif act == 2 and isinstance(at[key], int):
            at[key] += chance.choice([1, -1, 4096, -4096])
        else:
            at[key] = chance.choice(ODD)
        return


@pytest.fixture
def incremental(tmp_path: Path, make_image: Callable[..., Image]) -> Path:
    """A snapshot with all there is: two ranges, a delta, a parent."""
    store = Store(tmp_path / "store")
    content = bytearray(b"\x5a" * (64 * 4096))
    regions = [RamRegion(0, content), RamRegion(0x100000, content)]
    store.commit(make_image(ram=regions))
    mapped = open_snapshot(store.current() or tmp_path).map_ram()
    for _, memory in mapped:
        memory[8192] = 1
    again = [RamRegion(base, memory) for base, memory in mapped]
    return store.commit(make_image(ram=again))


def use(directory: Path) -> None:
    """All that the commands do with a snapshot."""
    opened = open_snapshot(directory)
    list(as_text(opened))
    as_json(opened)
    list(state_differences(opened, opened))
    opened.map_ram()
    opened.verify_ram()


def test_no_edit_of_the_manifest_with_right_hashes_is_more_than_a_clean_error(
    incremental: Path, forge: Forge
) -> None:
    state = incremental / "snapshot.vmms"
    good = state.read_bytes()
    chance = random.Random(11)
    refused = 0
    for _ in range(ROUNDS):

        def edit(tree: Any, payloads: dict[str, bytes]) -> None:
            for _ in range(chance.randrange(1, 3)):
                mutate(tree, chance)

        try:
            forge(incremental, edit)
        except (KeyError, TypeError, AttributeError, ValueError):
            continue  # it damaged what the forger itself needs
        try:
            use(incremental)
        except VmmgrError:
            refused += 1
        state.chmod(0o600)
        state.write_bytes(good)
    assert refused > ROUNDS // 4
    use(incremental)


def test_no_edit_of_a_chunk_with_right_hashes_is_more_than_a_clean_error(
    saved: Path, forge: Forge, sample_type: Any
) -> None:
    good = (saved / "snapshot.vmms").read_bytes()
    chance = random.Random(12)
    for _ in range(ROUNDS // 2):

        def edit(tree: Any, payloads: dict[str, bytes]) -> None:
            entry = chance.choice(tree["chunks"])
            content: Any = cbor.decode(payloads[entry["id"]])
            mutate(content, chance)
            payloads[entry["id"]] = cbor.encode(content)
            entry["raw"] = len(payloads[entry["id"]])

        forge(saved, edit)
        try:
            use(saved)
            open_snapshot(saved).record("slots.4", sample_type)
        except VmmgrError:
            pass
        (saved / "snapshot.vmms").write_bytes(good)


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_any_bytes_as_a_preamble_are_refused_or_read(data: bytes) -> None:
    for candidate in (data, preamble.MAGIC + data):
        with pytest.raises(preamble.PreambleError):
            preamble.parse(candidate)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.binary(max_size=9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)
KEYS = sorted(manifest.Manifest.__dataclass_fields__)


@given(PLAIN | st.fixed_dictionaries(dict.fromkeys(KEYS, PLAIN)))
@settings(max_examples=100)
def test_any_tree_as_a_manifest_is_refused_or_read(tree: Any) -> None:
    try:
        read = manifest.parse(tree)
    except manifest.ManifestError:
        return
    assert manifest.parse(read.to_plain()).to_plain() == read.to_plain()


@given(st.binary(max_size=64), st.integers(0, 1 << 32))
@settings(max_examples=300)
def test_any_bytes_as_runs_are_refused_or_ascend_inside_the_range(data: bytes, limit: int) -> None:
    if runs.fault(data, limit):
        return
    pages = list(runs.pairs(data))
    assert all(one[0] + one[1] < two[0] for one, two in pairwise(pages))
    assert all(count and first + count <= limit for first, count in pages)
