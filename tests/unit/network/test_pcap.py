# SPDX-License-Identifier: BSD-2-Clause
"""Captures: what a reader of pcap finds in them."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from manager.errors import HostError
from manager.network.pcap import HEADER, Capture

EPOCH = 1_704_067_200


def packets(path: Path) -> list[tuple[int, int, bytes]]:
    """Seconds, nanoseconds and content of each packet."""
    data = path.read_bytes()
    assert struct.unpack_from("<IHH8xII", data) == (0xA1B23C4D, 2, 4, 0xFFFF, 1)
    found, at = [], 24
    while at < len(data):
        seconds, rest, here, length = struct.unpack_from("<IIII", data, at)
        assert here == length
        found.append((seconds, rest, data[at + 16 : at + 16 + here]))
        at += 16 + here
    return found


def test_frames_have_the_time_of_the_guest(tmp_path: Path) -> None:
    capture = Capture(tmp_path / "x.pcap", EPOCH, anew=True)
    capture.add(1_500_000_007, b"one")
    capture.close()
    assert packets(tmp_path / "x.pcap") == [(EPOCH + 1, 500_000_007, b"one")]


def test_a_capture_goes_on_where_it_ended_or_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    for number, anew in enumerate((True, False)):
        capture = Capture(path, EPOCH, anew=anew)
        capture.add(number, b"%d" % number)
        capture.close()
    assert [frame for _, _, frame in packets(path)] == [b"0", b"1"]
    Capture(path, EPOCH, anew=True).close()
    assert path.read_bytes() == HEADER


def test_a_rewind_takes_back_what_came_later(tmp_path: Path) -> None:
    capture = Capture(tmp_path / "x.pcap", EPOCH, anew=True)
    for at in (10, 20, 30):
        capture.add(at, b"frame %d" % at)
    capture.rewind(20)
    capture.add(25, b"another")
    capture.close()
    assert [rest for _, rest, _ in packets(tmp_path / "x.pcap")] == [10, 20, 25]


def test_a_fifo_in_its_place_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.pcap")
    with pytest.raises(HostError, match="is a FIFO, not a regular file"):
        Capture(tmp_path / "x.pcap", EPOCH, anew=True)


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="cannot be written"):
        Capture(tmp_path / "no" / "x.pcap", EPOCH, anew=True)
