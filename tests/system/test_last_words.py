# SPDX-License-Identifier: BSD-2-Clause
"""What a guest prints just before its end counts for `vmmgr run`."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.assembler import assemble
from support.vmmgr import Vmmgr

GREETING = """
        mov     dx, 0x3f8
        mov     si, offset text
next:   lodsb
        out     dx, al
        test    al, al
        jnz     next
        mov     dx, 0x604               # PM1 control: sleep type 5, off
        mov     ax, 0x3400
        out     dx, ax
        hlt
text:   .asciz  "Hello"
"""
PC = """
schema = 1
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


@pytest.fixture
def greeter(tmp_path: Path) -> Path:
    """A machine that says hello and powers itself off at once."""
    (tmp_path / "guest.bin").write_bytes(assemble(GREETING, 0x7C00, 16))
    file = tmp_path / "greeter.toml"
    file.write_text(PC)
    return file


def test_a_match_in_the_last_words_is_a_match(vmmgr: Vmmgr, greeter: Path) -> None:
    vmmgr("run", greeter, "--until", "Hello", status=0)


def test_a_failure_in_the_last_words_is_a_failure(vmmgr: Vmmgr, greeter: Path) -> None:
    result = vmmgr("run", greeter, "--fail-on", "Hello", status=8)

    assert "--fail-on matched" in result.stderr


def test_an_end_without_the_match_is_a_failure(vmmgr: Vmmgr, greeter: Path) -> None:
    result = vmmgr("run", greeter, "--until", "Good bye", status=1)

    assert "before the last --until matched" in result.stderr
