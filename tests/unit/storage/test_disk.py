# SPDX-License-Identifier: BSD-2-Clause
"""A disk against a model of one: a byte string, with copies for the points to come back to."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from manager.storage.base import BLOCK, SECTOR, RawImage, Zeros
from manager.storage.digest import of_disk
from manager.storage.disk import Disk
from manager.storage.layer import Layer, pack_runs
from manager.storage.write_log import WriteLog

SECTORS = 8 * 11 + 3
SIZE = SECTORS * SECTOR


def image_of(content: bytes, directory: Path) -> Path:
    path = directory / "image"
    with path.open("wb") as file:
        for offset in range(0, len(content), BLOCK):
            piece = content[offset : offset + BLOCK]
            if any(piece):
                file.seek(offset)
                file.write(piece)
        file.truncate(len(content))
    return path


def freeze(disk: Disk) -> Layer:
    """What a snapshot does with the blocks on top."""
    blocks = disk.unsaved_blocks()
    with tempfile.TemporaryFile() as file:
        for piece in disk.content_of(blocks):
            file.write(piece)
        file.flush()
        return Layer(os.dup(file.fileno()), pack_runs(blocks))


class DiskMachine(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 3), empty=st.booleans())
    def begin(self, seed: int, empty: bool) -> None:
        chance = random.Random(seed)
        self.folder = tempfile.TemporaryDirectory()
        content = bytearray(SIZE)
        if not empty:
            for block in range(0, SIZE // BLOCK, 3):
                content[block * BLOCK : (block + 1) * BLOCK] = chance.randbytes(BLOCK)
        base = Zeros(SIZE) if empty else RawImage(image_of(content, Path(self.folder.name)))
        self.path = Path(self.folder.name) / "log"
        self.disk = Disk(base, WriteLog.at(self.path))
        self.model = bytearray(content)
        self.base = bytes(content)
        self.marks: list[tuple[object, bytes]] = []

    def teardown(self) -> None:
        self.disk.close()
        self.folder.cleanup()

    @rule(first=st.integers(0, SECTORS - 1), count=st.integers(1, 40), seed=st.integers(0, 255))
    def write(self, first: int, count: int, seed: int) -> None:
        count = min(count, SECTORS - first)
        data = bytes([seed]) * (count * SECTOR)
        self.disk.write(first * SECTOR, data)
        self.model[first * SECTOR : (first + count) * SECTOR] = data

    @rule(first=st.integers(0, SECTORS - 1), count=st.integers(1, SECTORS))
    def zero(self, first: int, count: int) -> None:
        count = min(count, SECTORS - first)
        self.disk.zero(first * SECTOR, count * SECTOR)
        self.model[first * SECTOR : (first + count) * SECTOR] = bytes(count * SECTOR)

    @rule(first=st.integers(0, SECTORS - 1), count=st.integers(1, SECTORS))
    def read(self, first: int, count: int) -> None:
        count = min(count, SECTORS - first)
        expected = self.model[first * SECTOR : (first + count) * SECTOR]
        assert self.disk.read(first * SECTOR, count * SECTOR) == expected

    @rule()
    def save(self) -> None:
        self.disk.saved((*self.disk.layers, freeze(self.disk)))
        assert self.disk.unsaved == 0

    @precondition(lambda self: len(self.marks) < 4)
    @rule()
    def mark(self) -> None:
        self.marks.append((self.disk.mark(), bytes(self.model)))

    @precondition(lambda self: self.marks)
    @rule(which=st.integers(0, 3))
    def back(self, which: int) -> None:
        which %= len(self.marks)
        mark, content = self.marks[which]
        del self.marks[which + 1 :]
        self.disk.back(mark)  # type: ignore[arg-type]
        self.model[:] = content

    @precondition(lambda self: self.marks)
    @rule(which=st.integers(0, 3))
    def forget(self, which: int) -> None:
        mark, _ = self.marks.pop(which % len(self.marks))
        self.disk.forget(mark)  # type: ignore[arg-type]

    @precondition(lambda self: not self.marks)
    @rule()
    def process_is_killed(self) -> None:
        """The log alone, and the layers, must be enough to go on."""
        self.disk = Disk(self.disk.base, WriteLog.at(self.path), self.disk.layers, recover=True)

    @invariant()
    def same_content(self) -> None:
        if hasattr(self, "disk"):
            assert b"".join(self.disk.content()) == self.model


DiskMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestDiskAgainstModel = DiskMachine.TestCase


def empty_disk() -> Disk:
    return Disk(Zeros(64 * BLOCK), WriteLog.nameless())


def test_digest_depends_on_content_only() -> None:
    one, two = empty_disk(), empty_disk()
    one.write(0, b"a" * BLOCK)
    one.write(9 * BLOCK, b"b" * BLOCK)
    two.write(9 * BLOCK, b"x" * BLOCK)
    two.saved((freeze(two),))
    two.write(9 * BLOCK, b"b" * BLOCK)
    two.write(3 * BLOCK, b"y" * BLOCK)
    two.zero(3 * BLOCK, BLOCK)
    two.write(0, b"a" * BLOCK)

    assert of_disk(one) == of_disk(two)
    two.write(0, b"c" * SECTOR)
    assert of_disk(one) != of_disk(two)


def test_zeros_over_an_untouched_disk_store_nothing() -> None:
    disk = empty_disk()

    disk.zero(0, disk.size)

    assert disk.unsaved == 0


def test_a_torn_index_entry_ends_the_log(tmp_path: Path) -> None:
    disk = Disk(Zeros(16 * BLOCK), WriteLog.at(tmp_path / "log"))
    disk.write(0, b"a" * BLOCK)
    disk.write(5 * BLOCK, b"b" * BLOCK)
    index = tmp_path / "log.index"
    os.truncate(index, index.stat().st_size - 3)

    again = Disk(Zeros(16 * BLOCK), WriteLog.at(tmp_path / "log"), recover=True)

    assert again.read(0, BLOCK) == b"a" * BLOCK
    assert again.read(5 * BLOCK, BLOCK) == bytes(BLOCK)


def test_an_index_of_another_disk_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "log.index").write_bytes((1).to_bytes(8, "little") + b"\xff" * 8)

    disk = Disk(Zeros(16 * BLOCK), WriteLog.at(tmp_path / "log"), recover=True)

    assert disk.unsaved_blocks() == [0]


def test_an_image_that_became_shorter_is_an_io_error(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(bytes(4 * BLOCK))
    disk = Disk(RawImage(path), WriteLog.nameless())
    os.truncate(path, BLOCK)

    with pytest.raises(OSError, match="shorter"):
        disk.read(2 * BLOCK, BLOCK)


def test_what_is_closed_twice_closes_no_other_file(tmp_path: Path) -> None:
    disk = Disk(RawImage(image_of(bytes(SIZE), tmp_path)), WriteLog.nameless())
    disk.write(0, b"x" * SECTOR)
    disk.saved((freeze(disk),))
    disk.close()
    others = [os.open(tmp_path, os.O_RDONLY) for _ in range(4)]

    disk.close()

    for other in others:
        os.close(other)  # it is still open
