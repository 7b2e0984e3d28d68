# SPDX-License-Identifier: BSD-2-Clause
"""Logs are of a limited size, in pieces, and whole while they are within it."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.state.port_log import PIECES, PortLog, old, pieces, set_aside, tail


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VMMGR_LOG_SIZE", "4096")
    return tmp_path / "lpc.com1.log"


def whole(path: Path) -> bytes:
    return b"".join(piece.read_bytes() for piece in pieces(path))


def test_pieces_follow_each_other_without_a_gap(path) -> None:
    log = PortLog(path)
    sent = b"".join(b"%07d\n" % number for number in range(2000))

    for start in range(0, len(sent), 100):
        log.write(sent[start : start + 100])
    log.close()

    assert len(pieces(path)) == 4
    assert whole(path) == sent


def test_the_oldest_piece_goes(path) -> None:
    log = PortLog(path)
    for _ in range(20):
        log.write(bytes(4096))
    log.close()

    assert len(pieces(path)) == PIECES + 1


def test_a_log_goes_on_after_a_resume(path) -> None:
    for text in (b"before ", b"after"):
        log = PortLog(path)
        log.write(text)
        log.close()

    assert whole(path) == b"before after"


def test_a_boot_puts_all_pieces_aside(path) -> None:
    log = PortLog(path)
    log.write(bytes(4096))
    log.write(b"end")
    log.close()

    set_aside(path)

    assert pieces(path) == []
    assert whole(old(path)) == bytes(4096) + b"end"
    assert old(path).name == "lpc.com1.old.log"


@pytest.mark.parametrize("size", [3, 5000])
def test_the_tail_reaches_over_pieces(path, size) -> None:
    log = PortLog(path)
    sent = b"".join(b"%07d\n" % number for number in range(1000))
    for start in range(0, len(sent), 64):
        log.write(sent[start : start + 64])
    log.close()

    assert tail(path, size) == sent[-size:]


def test_the_tail_of_no_log_is_empty(path) -> None:
    assert tail(path, 100) == b""
