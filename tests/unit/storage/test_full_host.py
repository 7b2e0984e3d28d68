# SPDX-License-Identifier: BSD-2-Clause
"""A host that runs out of room while a guest writes: nothing that was written is lost."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from manager.storage.base import BLOCK, Zeros
from manager.storage.blocks import DiskBlocks
from manager.storage.disk import Disk
from manager.storage.write_log import WriteLog

SECTORS = BLOCK // 512


@contextmanager
def no_more_than(size: int) -> Iterator[None]:
    """The kernel lets no file of this process grow beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def told() -> list[str]:
    return []


def disk_in(folder: Path) -> Disk:
    return Disk(Zeros(64 * BLOCK), WriteLog.at(folder / "log"))


def test_with_pause_the_write_succeeds_and_the_machine_is_told(
    tmp_path: Path, told: list[str]
) -> None:
    blocks = DiskBlocks(disk_in(tmp_path), "root", told.append)
    with no_more_than(3 * BLOCK):
        for n in range(6):
            assert blocks.write(n * SECTORS, bytes([n + 1]) * BLOCK)
        assert blocks.write(4 * SECTORS, b"y" * BLOCK)
        assert blocks.retry()

    assert told == ["cannot be written: the host has no room left"]
    for n in range(6):
        expected = b"y" if n == 4 else bytes([n + 1])
        assert blocks.read(n * SECTORS, SECTORS) == expected * BLOCK


def test_once_there_is_room_everything_is_in_the_files(tmp_path: Path, told: list[str]) -> None:
    blocks = DiskBlocks(disk_in(tmp_path), "root", told.append)
    with no_more_than(2 * BLOCK):
        for n in range(4):
            blocks.write(n * SECTORS, bytes([n + 1]) * BLOCK)
        blocks.zero(SECTORS, SECTORS)

    assert blocks.retry() == ""
    again = Disk(Zeros(64 * BLOCK), WriteLog.at(tmp_path / "log"), recover=True)
    assert again.read(0, 4 * BLOCK) == b"\1" * BLOCK + bytes(BLOCK) + b"\3" * BLOCK + b"\4" * BLOCK


def test_with_error_the_guest_hears_of_it_and_keeps_what_it_had(
    tmp_path: Path, told: list[str]
) -> None:
    blocks = DiskBlocks(disk_in(tmp_path), "root", told.append, "error")
    with no_more_than(2 * BLOCK):
        done = [blocks.write(n * SECTORS, bytes([n + 1]) * BLOCK) for n in range(4)]

    assert done == [True, True, False, False]
    assert told == ["cannot be written: File too large"]
    assert blocks.read(0, SECTORS) == b"\1" * BLOCK
    assert blocks.read(2 * SECTORS, SECTORS) == bytes(BLOCK)


def test_places_outside_are_refused(tmp_path: Path, told: list[str]) -> None:
    blocks = DiskBlocks(disk_in(tmp_path), "root", told.append)

    assert blocks.read(blocks.sectors, 1) is None
    assert not blocks.write(blocks.sectors - 1, bytes(1024))
    assert not blocks.zero(1, 1 << 40)
    assert told == []
