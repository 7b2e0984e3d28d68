# SPDX-License-Identifier: BSD-2-Clause
"""A cable between two machines, plugged and unplugged in any order."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.backends.backend import HIGH_WATER
from manager.backends.pipe import PipeBackend
from manager.errors import HostError


class Ends:
    """Two ends of a cable on one selector, with a clock by hand."""

    def __init__(self, owner, path: Path) -> None:
        self.owner = owner
        self.path = path
        self.now = 0.0

    def plug(self) -> tuple[PipeBackend, bytearray]:
        end = PipeBackend(self.path, lambda: self.now)
        received = bytearray()
        end.attach(self.owner.selector, received.extend)
        self.owner.settle()
        return end, received

    def pass_a_second(self, *ends: PipeBackend) -> None:
        self.now += 1.0
        for end in ends:
            end.poll()
        self.owner.settle()


@pytest.fixture
def ends(owner, tmp_path: Path) -> Ends:
    return Ends(owner, tmp_path / "cable")


def test_first_end_waits_for_the_other(ends) -> None:
    first, heard_first = ends.plug()
    assert "waiting" in first.describe()
    second, heard_second = ends.plug()

    first.write(b"ping")
    second.write(b"\x00pong\xff")
    ends.owner.settle()

    assert heard_second == b"ping"
    assert heard_first == b"\x00pong\xff"
    assert "connected" in first.describe()
    first.close()
    second.close()
    assert not ends.path.exists()


def test_what_was_sent_alone_is_kept_for_the_other(ends) -> None:
    first, _ = ends.plug()
    first.write(b"early ")

    second, heard = ends.plug()
    first.write(b"late")
    ends.owner.settle()

    assert heard == b"early late"
    first.close()
    second.close()


@pytest.mark.parametrize("leaver", [0, 1])
def test_either_end_can_go_and_come_back(ends, leaver) -> None:
    pair = [ends.plug(), ends.plug()]
    pair[leaver][0].close()
    stays, heard = pair[1 - leaver]
    ends.owner.settle()
    ends.pass_a_second(stays)

    back, heard_back = ends.plug()
    ends.pass_a_second(stays, back)
    back.write(b"again")
    stays.write(b"welcome")
    ends.owner.settle()

    assert (heard, heard_back) == (b"again", b"welcome")
    stays.close()
    back.close()


def test_a_cable_has_two_ends(ends) -> None:
    first, heard = ends.plug()
    second, _ = ends.plug()
    third, _ = ends.plug()
    ends.owner.settle()

    third.write(b"me too")
    second.write(b"mine")
    ends.owner.settle()

    assert heard == b"mine"
    for end in (third, second, first):
        end.close()


def test_output_without_a_reader_is_bounded_and_counted(ends) -> None:
    alone, _ = ends.plug()

    alone.write(bytes(HIGH_WATER + 10))

    assert alone.dropped == 10
    assert alone.backlog == 0
    alone.close()


def test_a_file_in_the_way_is_named(ends) -> None:
    ends.path.write_text("mine")

    with pytest.raises(HostError, match="is in the way"):
        ends.plug()


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="there is no directory"):
        PipeBackend(tmp_path / "nowhere" / "cable")
