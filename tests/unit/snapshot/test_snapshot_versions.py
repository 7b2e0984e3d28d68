# SPDX-License-Identifier: BSD-2-Clause
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from manager.bus.record import Plain, Record, ints, uint
from manager.errors import SnapshotCorruptError, SnapshotMismatchError
from manager.snapshot.image import Image
from manager.snapshot.read import open_snapshot
from manager.snapshot.write import write_snapshot

MakeImage = Callable[..., Image]
Forge = Callable[..., None]


@dataclass(slots=True)
class LatchV1(Record):
    TYPE = "latch"

    low: int = uint(8, "low byte of the divisor")
    high: int = uint(8, "high byte of the divisor")


def join_halves(old: dict[str, Plain]) -> dict[str, Plain]:
    low, high = old["low"], old["high"]
    assert isinstance(low, int)
    assert isinstance(high, int)
    return {"divisor": high << 8 | low}


def to_list(old: dict[str, Plain]) -> dict[str, Plain]:
    return {"divisors": [old["divisor"], 0]}


@dataclass(slots=True)
class Latch(Record):
    TYPE = "latch"
    VERSION: ClassVar[int] = 3
    UPGRADES = {1: join_halves, 2: to_list}

    divisors: list[int] = ints(2, 16, "the divisors")


@dataclass(slots=True)
class RecentLatch(Latch):
    MIN_READABLE: ClassVar[int] = 2


@pytest.fixture
def old(tmp_path: Path, make_image: MakeImage) -> Path:
    write_snapshot(tmp_path / "old", make_image(records={"timer": LatchV1(0x34, 0x12)}))
    return tmp_path / "old"


def test_an_old_record_is_upgraded_one_version_at_a_time(old: Path) -> None:
    assert open_snapshot(old).record("timer", Latch).divisors == [0x1234, 0]


def test_a_newer_record_is_refused_naming_both_versions_and_the_writer(
    tmp_path: Path, make_image: MakeImage
) -> None:
    write_snapshot(tmp_path / "new", make_image(records={"timer": Latch()}))

    with pytest.raises(SnapshotCorruptError) as caught:
        open_snapshot(tmp_path / "new").record("timer", LatchV1)

    text = str(caught.value)
    assert "chunk device/timer" in text
    assert "version 3, newer than 1" in text
    assert "help: read it with vmmgr 0.1.0 or newer" in text


def test_a_record_too_old_is_refused(old: Path) -> None:
    with pytest.raises(SnapshotCorruptError, match="version 1, older than 2"):
        open_snapshot(old).record("timer", RecentLatch)


def test_an_upgrade_that_meets_wrong_fields_is_a_clean_error(old: Path, forge: Forge) -> None:
    def edit(tree: dict[str, Any], payloads: dict[str, bytes]) -> None:
        payloads["device/timer"] = b"\xa1\x63low\x01"
        tree["chunks"][0]["raw"] = 6

    forge(old, edit)

    with pytest.raises(SnapshotCorruptError, match="cannot upgrade: KeyError"):
        open_snapshot(old).record("timer", Latch)


def test_a_record_of_another_type_is_a_mismatch(saved: Path) -> None:
    with pytest.raises(SnapshotMismatchError, match=r"slots\.4 is of type sample, not latch"):
        open_snapshot(saved).record("slots.4", Latch)


def test_a_newer_major_format_is_refused_naming_its_writer(
    saved: Path, patch_preamble: Callable[[Path, int, bytes], None]
) -> None:
    patch_preamble(saved, 8, b"\x02\x00\x00\x00")

    with pytest.raises(SnapshotCorruptError) as caught:
        open_snapshot(saved)

    assert "has format 2.0; this vmmgr reads 1.x (written by vmmgr 0.1.0)" in str(caught.value)
    assert "help: read it with vmmgr 0.1.0" in str(caught.value)


def test_a_big_endian_file_is_refused(
    saved: Path, patch_preamble: Callable[[Path, int, bytes], None]
) -> None:
    patch_preamble(saved, 12, b"\x01\x02\x03\x04")

    with pytest.raises(SnapshotCorruptError, match="byte order mark"):
        open_snapshot(saved)


def test_additions_of_a_newer_minor_format_are_passed_over(saved: Path, forge: Forge) -> None:
    forge(saved, lambda tree, payloads: tree.update(later={"x": 1}), minor=7)

    assert open_snapshot(saved).header.machine == "demo"


def add_chunk(mandatory: bool) -> Callable[[dict[str, Any], dict[str, bytes]], None]:
    def edit(tree: dict[str, Any], payloads: dict[str, bytes]) -> None:
        entry = dict(tree["chunks"][-1], id="thumbnail", kind="picture", codec="png", raw=4)
        tree["chunks"].append(entry | {"mandatory": mandatory})
        payloads["thumbnail"] = b"\x89PNG"

    return edit


def test_an_unknown_mandatory_chunk_is_refused_by_name(saved: Path, forge: Forge) -> None:
    forge(saved, add_chunk(mandatory=True))

    with pytest.raises(SnapshotCorruptError, match="chunk thumbnail: holds 'picture'") as caught:
        open_snapshot(saved)
    assert "help: read it with vmmgr 9.9.9 or newer" in str(caught.value)


def test_an_unknown_optional_chunk_is_tolerated_and_listed(saved: Path, forge: Forge) -> None:
    forge(saved, add_chunk(mandatory=False))

    assert [entry.id for entry in open_snapshot(saved).unknown] == ["thumbnail"]


def test_two_schemas_of_one_name_cannot_be_written(tmp_path: Path, make_image: MakeImage) -> None:
    records = {"a": Latch(), "b": LatchV1()}

    with pytest.raises(Exception, match="two schemas are called latch"):
        write_snapshot(tmp_path / "s", make_image(records=records))
