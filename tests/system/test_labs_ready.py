# SPDX-License-Identifier: BSD-2-Clause
"""A lab is ready when all its machines are, and is not when one of them ends before."""

from __future__ import annotations

from pathlib import Path

from support.small_lab import ASLEEP, lab
from support.vmmgr import Vmmgr

LAST_WORD = "cli\n mov dx, 0x3f8\n mov al, '!'\n out dx, al\n hlt"
READY = '[ready]\nport = "com1"\nwait-for = "{}"\n'


def one_that_ends(folder: Path, wait_for: str) -> Path:
    """A lab of two: one says a word and halts for good; it is ready once it has said `wait_for`."""
    file: Path = lab(folder, ends=LAST_WORD, rests=ASLEEP)
    with (folder / "ends.toml").open("a") as machine:
        machine.write(READY.format(wait_for))
    return file


def test_the_last_word_of_a_machine_counts(vmmgr: Vmmgr, tmp_path: Path) -> None:
    said = vmmgr("up", one_that_ends(tmp_path, "!"), "-d").stderr

    assert "duo is up and is ready: ends: !" in said


def test_a_machine_that_ends_before_it_is_ready_is_told(vmmgr: Vmmgr, tmp_path: Path) -> None:
    result = vmmgr("up", one_that_ends(tmp_path, "never said"), "-d", status=1)

    assert "duo: ends: it ended before it was ready" in result.stderr
