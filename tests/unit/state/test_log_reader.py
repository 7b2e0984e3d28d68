# SPDX-License-Identifier: BSD-2-Clause
"""A log is read whole while its pieces change their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.errors import HostError
from manager.state.log_reader import LogReader
from manager.state.port_log import PIECES, piece, shift


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "lpc.com1.log"
    path.write_bytes(b"one")
    return path


@pytest.fixture
def reader(log: Path):
    reader = LogReader(log)
    yield reader
    reader.close()


def test_a_piece_that_is_not_begun_yet_is_waited_for(log: Path, reader: LogReader) -> None:
    assert reader.read() == b"one"

    shift(log)
    assert reader.read() == b""
    log.write_bytes(b"two")
    assert reader.read() == b"two"


def test_pieces_that_change_names_meanwhile_are_read_in_their_order(
    log: Path, reader: LogReader
) -> None:
    for text in (b"two", b"three", b"four"):
        shift(log)
        log.write_bytes(text)

    assert [reader.read() for _ in range(5)] == [b"one", b"two", b"three", b"four", b""]


def test_names_that_change_between_two_looks_lose_no_piece(
    log: Path, reader: LogReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer begins a piece just when the reader knows which one it needs."""
    reader.read()
    shift(log)
    log.write_bytes(b"two")

    asked = []

    def shifting(path: Path, number: int) -> Path:
        asked.append(number)
        if asked == [0, 1, 0]:
            shift(log)
            log.write_bytes(b"three")
        return piece(path, number)

    monkeypatch.setattr("manager.state.log_reader.piece", shifting)

    assert [reader.read() for _ in range(3)] == [b"two", b"three", b""]


def test_a_reader_that_was_too_slow_goes_on_with_the_oldest_piece(
    log: Path, reader: LogReader
) -> None:
    reader.read()
    for number in range(PIECES + 2):
        shift(log)
        log.write_bytes(b"%d" % number)

    assert reader.read() == b"1"


def test_a_piece_that_no_log_can_be_is_refused(log: Path) -> None:
    with log.open("r+b") as file:
        file.truncate(1 << 38)

    with pytest.raises(HostError, match="274877906944 bytes are no log"):
        LogReader(log)
