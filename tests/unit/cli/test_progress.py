# SPDX-License-Identifier: BSD-2-Clause
"""Progress shows on terminals, after a while, and leaves no trace."""

from __future__ import annotations

import io

from manager.cli.progress import INTERVAL, PATIENCE, Progress

MIB = 1 << 20


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_terminal_shows_the_share_and_is_left_clean() -> None:
    stream, clock = Terminal(), Clock()
    with Progress("verifying", stream, clock) as progress:
        clock.now = PATIENCE
        progress.update(25 * MIB, 100 * MIB)
        shown = stream.getvalue()

    assert shown.endswith("verifying:  25 %  25.0 MiB")
    assert stream.getvalue().endswith("\r\x1b[K")


def test_short_work_shows_nothing() -> None:
    stream, clock = Terminal(), Clock()
    with Progress("exporting", stream, clock) as progress:
        clock.now = PATIENCE / 2
        progress.update(1, 2)

    assert stream.getvalue() == ""


def test_the_line_is_not_drawn_for_every_block() -> None:
    stream, clock = Terminal(), Clock()
    with Progress("exporting", stream, clock) as progress:
        for step in range(100):
            clock.now = PATIENCE + step * INTERVAL / 50
            progress.update(step)

    assert stream.getvalue().count("exporting") == 2


def test_a_pipe_shows_nothing() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress("exporting", stream, clock) as progress:
        clock.now = 10 * PATIENCE
        progress.update(1, 2)

    assert stream.getvalue() == ""
