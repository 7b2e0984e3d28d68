# SPDX-License-Identifier: BSD-2-Clause
"""A pty, with real terminal programs' behaviour on its other end."""

from __future__ import annotations

import os
import re
import select
import selectors
from pathlib import Path

import pytest

from manager.backends.backend import HIGH_WATER
from manager.backends.pty import PtyBackend
from manager.errors import HostError


def slave_of(backend: PtyBackend) -> int:
    return os.open(backend.describe().split()[1], os.O_RDWR | os.O_NOCTTY)


def read_exactly(slave: int, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        assert select.select([slave], [], [], 3)[0], f"only {bytes(data)!r} came"
        data += os.read(slave, size - len(data))
    return bytes(data)


def test_bytes_pass_unchanged_in_both_directions(owner):
    backend = PtyBackend()
    owner.adopt(backend)
    slave = slave_of(backend)

    backend.write(b"a\r\nb\x03\xff")
    os.write(slave, b"\x03\r\x7f\xfe")
    owner.until(lambda: len(owner.received) == 4)

    assert read_exactly(slave, 6) == b"a\r\nb\x03\xff"
    assert owner.received == b"\x03\r\x7f\xfe"
    os.close(slave)


def test_output_is_not_echoed_back_as_input(owner):
    backend = PtyBackend()
    owner.adopt(backend)

    slave = slave_of(backend)

    backend.write(b"login: ")
    read_exactly(slave, 7)
    os.write(slave, b"root")
    owner.until(lambda: owner.received.endswith(b"root"))

    assert owner.received == b"root"
    os.close(slave)


def test_programs_may_come_and_go_without_a_storm_of_errors(owner):
    backend = PtyBackend()
    owner.adopt(backend)

    for expected in (b"1", b"12"):
        slave = slave_of(backend)
        os.write(slave, expected[-1:])
        os.close(slave)
        owner.until(lambda expected=expected: owner.received == expected)
        owner.settle()


def test_output_before_attach_reaches_the_first_reader(owner):
    backend = PtyBackend()
    backend.write(b"early")
    owner.adopt(backend)
    owner.settle()
    slave = slave_of(backend)

    assert read_exactly(slave, 5) == b"early"
    os.close(slave)


def test_unread_output_is_bounded_and_the_gap_is_announced(owner):
    backend = PtyBackend()
    owner.adopt(backend)
    for _ in range(100):
        backend.write(b"x" * 4096)
    backend.write(b"END")
    assert backend.backlog <= HIGH_WATER

    slave = slave_of(backend)
    read = bytearray()
    owner.selector.register(
        slave, selectors.EVENT_READ, lambda _events: read.extend(os.read(slave, 4096))
    )
    owner.until(lambda: read.endswith(b"END"))
    owner.selector.unregister(slave)
    os.close(slave)

    # The kernel takes some meanwhile, so there may be several gaps.
    notes = list(re.finditer(rb"\r\n\[vmmgr: (\d+) bytes skipped, the log has them\]\r\n", read))
    assert notes
    kept = len(read) - sum(len(note[0]) for note in notes)
    assert kept + sum(int(note[1]) for note in notes) == 100 * 4096 + 3


def test_held_input_stays_in_the_pty(owner):
    backend = PtyBackend()
    owner.adopt(backend)
    slave = slave_of(backend)
    backend.hold(True)
    os.write(slave, b"later")
    owner.settle()
    assert owner.received == b""

    backend.hold(False)
    owner.until(lambda: owner.received == b"later")
    os.close(slave)


def test_link_names_the_pty_and_goes_with_it(owner, tmp_path: Path):
    path = tmp_path / "console"
    path.symlink_to("/dev/pts/old")
    backend = PtyBackend(path)
    owner.adopt(backend)

    assert backend.describe() == f"pty {path.readlink()} ({path})"
    backend.close()
    assert not path.is_symlink()


def test_close_leaves_a_link_that_another_machine_took_over(tmp_path: Path):
    path = tmp_path / "console"
    backend = PtyBackend(path)
    path.unlink()
    path.symlink_to("/dev/pts/other")

    backend.close()

    assert str(path.readlink()) == "/dev/pts/other"


def test_a_file_in_the_place_of_the_link_is_not_overwritten(tmp_path: Path):
    path = tmp_path / "console"
    path.write_text("precious")

    with pytest.raises(HostError, match="not a symbolic link"):
        PtyBackend(path)

    assert path.read_text() == "precious"
