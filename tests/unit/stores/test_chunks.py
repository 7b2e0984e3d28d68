# SPDX-License-Identifier: BSD-2-Clause
"""Chunks hold all of a file that is not zeros, and files that are alike have most in common."""

from __future__ import annotations

import os
import random
from hashlib import sha256
from pathlib import Path

import pytest

from manager.bus.memory import PAGE
from manager.stores import chunks


def cut(path: Path) -> list[tuple[int, bytes]]:
    fd = os.open(path, os.O_RDONLY)
    try:
        return list(chunks.cuts(fd, path.stat().st_size))
    finally:
        os.close(fd)


def hashes(path: Path) -> set[bytes]:
    return {sha256(content).digest() for _, content in cut(path)}


@pytest.mark.parametrize("seed", range(12))
def test_pieces_and_zeros_are_the_whole_file(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    content = bytearray()
    while len(content) < 3 << 20:
        pages = chance.choice((1, 1, 2, 15, 16, 17, 40, 200))
        content += chance.randbytes(pages * PAGE) if chance.random() < 0.6 else bytes(pages * PAGE)
    content += chance.randbytes(chance.randrange(PAGE))
    path = tmp_path / "file"
    path.write_bytes(content)

    found, end = bytearray(len(content)), 0
    for offset, piece in cut(path):
        assert offset >= end
        assert len(piece) <= chunks.MOST
        end = offset + len(piece)
        found[offset:end] = piece
    assert found == content


def test_holes_and_zeros_are_cut_alike(tmp_path: Path) -> None:
    chance = random.Random(1)
    holes, zeros = tmp_path / "holes", tmp_path / "zeros"
    for path in (holes, zeros):
        path.touch()
        os.truncate(path, 8 << 20)
    zeros.write_bytes(bytes(8 << 20))
    for _ in range(200):
        at, page = chance.randrange(2048) * PAGE, chance.randbytes(PAGE)
        for path in (holes, zeros):
            with path.open("r+b") as file:
                file.seek(at)
                file.write(page)

    assert holes.stat().st_blocks < zeros.stat().st_blocks
    assert cut(holes) == cut(zeros)


def test_pages_put_in_and_taken_out_change_the_chunks_around_them_only(tmp_path: Path) -> None:
    pages = [random.Random(seed).randbytes(PAGE) for seed in range(4096)]
    before, after = tmp_path / "before", tmp_path / "after"
    before.write_bytes(b"".join(pages))
    after.write_bytes(b"".join([*pages[:1000], bytes(range(256)) * 16, *pages[1000:3000]]))

    assert len(hashes(before)) > 30
    assert len(hashes(after) - hashes(before)) <= 4


def test_an_empty_file_and_one_of_zeros_have_no_chunks(tmp_path: Path) -> None:
    for size in (0, 1, PAGE, 5 << 20):
        path = tmp_path / str(size)
        path.write_bytes(bytes(size))
        assert cut(path) == []


def test_a_large_file_has_few_chunks_however_its_pages_lie(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, 6 << 30)
    with path.open("r+b") as file:
        for number in range(6 << 30 >> 20):  # one page in each MiB, as no guest has them
            file.seek(number << 20)
            file.write(b"page")

    found = cut(path)
    assert len(found) <= 16_384
    assert max(len(piece) for _, piece in found) <= chunks.MOST << chunks.doublings(6 << 30)
    assert chunks.doublings(64 << 30) == chunks.MOST_DOUBLINGS
