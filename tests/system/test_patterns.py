# SPDX-License-Identifier: BSD-2-Clause
"""Whatever the pattern and whatever the guest prints, time limits hold and the owner answers."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.assembler import assemble
from support.vmmgr import Vmmgr

PROGRESS = """
again:  mov     dx, 0x3f8
        mov     si, offset text
next:   lodsb
        test    al, al
        jz      again
        out     dx, al
        jmp     next
text:   .asciz  "aaaa 50% aaaaaaaa\\r"
"""
PC = """
schema = 1
[clock]
mode = "virtual"
[memory]
size = "1M"
[boot]
image = "guest.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[slots.31]
device = "lpc"
[slots.0]
device = "hostbridge"
[lpc.com1]
"""
COSTLY = [".*END", "(a+)+c", "(?s).*END", r"(\w+\s?)+!", "(a?){200}b"]


@pytest.fixture
def progress(tmp_path: Path) -> Path:
    """A machine that prints a line without an end, as fast as it can."""
    (tmp_path / "guest.bin").write_bytes(assemble(PROGRESS, 0x7C00, 16))
    file = tmp_path / "progress.toml"
    file.write_text(PC)
    return file


@pytest.mark.parametrize("pattern", COSTLY)
@pytest.mark.parametrize("option", ["--until", "--fail-on"])
def test_the_time_budget_of_run_holds(
    vmmgr: Vmmgr, progress: Path, option: str, pattern: str
) -> None:
    result = vmmgr("run", progress, option, pattern, "--max-time", "300ms", status=124)

    assert result.stdout.count("50%") > 1000


@pytest.mark.parametrize("pattern", COSTLY)
def test_the_owner_of_a_machine_answers_while_it_searches(
    vmmgr: Vmmgr, progress: Path, pattern: str
) -> None:
    vmmgr("up", progress, "-d", "--wait-for", pattern, "--timeout", "1s", status=124)
    began = time.monotonic()

    vmmgr("status", "progress")
    vmmgr("down", "progress")

    assert time.monotonic() - began < 20


def test_a_pattern_that_cannot_be_searched_is_refused_with_its_place(
    vmmgr: Vmmgr, progress: Path
) -> None:
    result = vmmgr("run", progress, "--until", "login(?=:)", status=2)

    assert "argument --until: look-ahead, at character 6" in result.stderr
    assert "  | login(?=:)\n  |      ^ patterns are searched in linear time" in result.stderr


def test_the_budget_of_host_time_holds(vmmgr: Vmmgr, progress: Path) -> None:
    result = vmmgr("run", progress, "--max-wall", "300ms", status=124)

    assert "in 300ms of the host's time" in result.stderr
    assert "of the guest's have passed" in result.stderr
