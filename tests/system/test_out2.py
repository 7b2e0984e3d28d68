# SPDX-License-Identifier: BSD-2-Clause
"""A guest that waits for input and does not set OUT2: its user is told, and can do without."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.assembler import assemble
from support.vmmgr import Vmmgr

ECHO = """
        mov     word ptr [4 * 0x0c], offset on_input
        mov     word ptr [4 * 0x0c + 2], 0
        mov     al, 0x11                # the 8259: IRQ 4 is vector 0Ch
        out     0x20, al
        mov     al, 0x08
        out     0x21, al
        mov     al, 0x04
        out     0x21, al
        mov     al, 0x01
        out     0x21, al
        mov     al, 0xef
        out     0x21, al
        mov     dx, 0x3f9
        mov     al, 1                   # the receive interrupt, and MCR left alone
        out     dx, al
        mov     al, '?'
        mov     dx, 0x3f8
        out     dx, al
        sti
1:      hlt
        jmp     1b
on_input:
        mov     dx, 0x3f8
        in      al, dx
        out     dx, al
        mov     al, 0x20
        out     0x20, al
        iret
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
[slots.0]
device = "hostbridge"
[slots.31]
device = "lpc"
[lpc.com1]
"""
TYPE = ("--until", r"\?", "--send", "abc", "--until", "abc", "--max-time", "2s")
HINT = "lpc.com1: input waits: the guest has enabled its interrupt but not OUT2"


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    (tmp_path / "guest.bin").write_bytes(assemble(ECHO, 0x7C00, 16))
    file = tmp_path / "echo.toml"
    file.write_text(PC)
    return file


def test_run_says_once_that_input_waits(vmmgr: Vmmgr, echo: Path) -> None:
    result = vmmgr("run", echo, *TYPE, status=124)

    assert result.stderr.count(HINT) == 1


def test_out2_can_be_ignored(vmmgr: Vmmgr, echo: Path) -> None:
    result = vmmgr("run", echo, *TYPE, "--set", "lpc.com1.out2=ignore")

    assert result.stdout == "?abc"
    assert "OUT2" not in result.stderr


def test_status_names_the_port(vmmgr: Vmmgr, echo: Path) -> None:
    vmmgr("up", echo, "-d", "--wait-for", r"\?")
    vmmgr("send", "echo", "abc")
    vmmgr("run", echo, "--max-time", "1s", status=124)  # let time pass for the other one

    status = vmmgr("status", "echo")
    found = json.loads(vmmgr("status", "echo", "--json").stdout)
    vmmgr("down", "echo")

    assert "input waits" in status.stdout
    assert "not OUT2" in found["ports"][0]["advice"]
