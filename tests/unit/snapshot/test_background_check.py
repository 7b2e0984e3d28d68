# SPDX-License-Identifier: BSD-2-Clause
"""RAM that a machine runs on is compared with its hashes in the background."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from manager.bus.memory import PAGE, Ram
from manager.errors import SnapshotCorruptError
from manager.snapshot import archive
from manager.snapshot.background_check import BackgroundCheck
from manager.snapshot.image import Image, RamRegion
from manager.snapshot.read import open_snapshot
from manager.snapshot.store import Store

GOLDENS = Path(__file__).parents[2] / "goldens" / "snapshot" / "0.1"
SEGMENT = 1 << 20


def flip(file: Path, offset: int) -> None:
    file.chmod(0o600)
    with file.open("r+b") as stream:
        byte = os.pread(stream.fileno(), 1, offset)[0]
        os.pwrite(stream.fileno(), bytes((byte ^ 1,)), offset)


def found_in(directory: Path) -> str:
    """What a check of a machine that was just restored says once it is over; nothing if sound."""
    opened = open_snapshot(directory)
    memory = [memory for _, memory in opened.map_ram()]
    over = Event()
    with closing(BackgroundCheck(opened, memory)) as check:
        check.start(over.set)
        assert over.wait(30)
        return check.fault.message if check.fault is not None else ""


@pytest.fixture
def chain(tmp_path: Path, make_image: Callable[..., Image]) -> Path:
    """A snapshot of a base and a delta of the pages 0x2 and 0x103-0x104, in one region of 8 MiB."""
    store = Store(tmp_path / "store")
    whole = bytearray(os.urandom(SEGMENT)) * 8
    first = store.commit(make_image(ram=[RamRegion(0, whole)]))
    ((base, memory),) = open_snapshot(first).map_ram()
    memory[2 * PAGE] ^= 0xFF
    memory[0x103 * PAGE : 0x105 * PAGE] = bytes(2 * PAGE - 1) + b"\1"
    return store.commit(make_image(ram=[RamRegion(base, memory)]))


def test_a_sound_state_is_found_sound(saved: Path, chain: Path) -> None:
    assert found_in(saved) == ""
    assert found_in(chain) == ""


@pytest.mark.parametrize(
    ("base", "offset", "where"),
    [
        (0, 0x3456, "pages 0x0-0xff of guest RAM"),
        (0, 0x1FFFFF, "pages 0x100-0x1ff of guest RAM"),
        (0, 0x200123, "segment 2: expected zeros, got 0x01 in page 0x200 of guest RAM"),
        (0xFFFC0000, 0x3FFF, "pages 0xfffc0-0xfffc3 of guest RAM"),
    ],
)
def test_a_flipped_bit_is_found_with_its_place(
    saved: Path, base: int, offset: int, where: str
) -> None:
    regions = open_snapshot(saved).manifest.ram
    flip(saved / next(entry.file for entry in regions if entry.base == base), offset)

    assert where in found_in(saved)


@pytest.mark.parametrize(
    ("part", "offset", "where"),
    [
        ("file", 5 * SEGMENT + 7, "pages 0x500-0x5ff of guest RAM"),
        ("delta", 0, "pages 0x2-0x104 of guest RAM"),
        ("delta", 3 * PAGE - 2, "pages 0x2-0x104 of guest RAM"),
    ],
)
def test_base_and_delta_are_both_compared(chain: Path, part: str, offset: int, where: str) -> None:
    (region,) = open_snapshot(chain).manifest.ram
    assert region.delta
    flip(chain / getattr(region, part), offset)

    assert where in found_in(chain)


@pytest.mark.parametrize("name", ["whole", "delta"])
def test_a_state_of_version_0_1_is_compared(tmp_path: Path, name: str) -> None:
    state = tmp_path / name
    archive.unpack(GOLDENS / f"{name}{archive.SUFFIX}", state)
    assert found_in(state) == ""

    region = open_snapshot(state).manifest.ram[-1]
    flip(state / (region.delta or region.file), 0)

    assert "of guest RAM" in found_in(state)


def test_what_the_guest_has_touched_comes_first(chain: Path) -> None:
    opened = open_snapshot(chain)
    ((_, memory),) = opened.map_ram()
    (region,) = opened.manifest.ram
    for segment in (3, 6):
        flip(chain / region.file, segment * SEGMENT)
    assert memory[6 * SEGMENT + 99 * PAGE] >= 0  # a read

    over = Event()
    with closing(BackgroundCheck(opened, [memory])) as check:
        check.start(over.set)
        assert over.wait(30)

        assert "pages 0x600-0x6ff" in str(check.fault)


def test_what_has_not_been_compared_yet_can_be_finished_at_once(chain: Path) -> None:
    opened = open_snapshot(chain)
    (region,) = opened.manifest.ram
    flip(chain / region.file, 7 * SEGMENT)

    with closing(BackgroundCheck(opened, [])) as check:
        assert not check.is_over

        assert "pages 0x700-0x7ff" in str(check.finish())
        assert check.is_over


def test_it_compares_what_is_mapped_though_its_name_is_gone(chain: Path) -> None:
    opened = open_snapshot(chain)
    memory = [memory for _, memory in opened.map_ram()]
    (region,) = opened.manifest.ram
    with closing(BackgroundCheck(opened, memory)) as check:
        flip(chain / region.file, 0)
        (chain / region.file).unlink()
        check.start(lambda: None)

        assert "pages 0x0-0xff" in str(check.finish())


def test_a_check_that_is_given_up_stops(chain: Path) -> None:
    opened = open_snapshot(chain)
    memory = [memory for _, memory in opened.map_ram()]
    check = BackgroundCheck(opened, memory)
    check.start(lambda: None)
    for one in memory:
        one.close()  # as a machine does that ends

    check.close()

    assert check.fault is None


def test_a_file_that_is_missing_is_told_at_once(chain: Path) -> None:
    opened = open_snapshot(chain)
    (region,) = opened.manifest.ram
    (chain / region.file).unlink()

    with pytest.raises(SnapshotCorruptError, match="cannot be opened"):
        BackgroundCheck(opened, [])


def test_the_check_leaves_memory_as_it_is(chain: Path) -> None:
    opened = open_snapshot(chain)
    ((_, memory),) = opened.map_ram()
    assert isinstance(memory, Ram)
    memory[5] ^= 1
    changed = bytes(memory)

    with closing(BackgroundCheck(opened, [memory])) as check:
        check.start(lambda: None)
        assert check.finish() is None

    assert bytes(memory) == changed
