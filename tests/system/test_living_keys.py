# SPDX-License-Identifier: BSD-2-Clause
"""Keys and the mouse of a machine that runs: what its guest reads, recorded and undone."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.assembler import assemble
from support.vmmgr import Vmmgr

MACHINE = """
schema = 1
name = "typed"
[memory]
size = "1M"
[clock]
mode = "virtual"
[boot]
image = "guest.bin"
load = 0x8000
entry = 0x8000
bits = 16
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[lpc.com1]
"""
PLUGS = "[lpc.ps2-keyboard]\n[lpc.ps2-mouse]\n"


def write(*pairs: tuple[int, int]) -> str:
    """Bytes to ports."""
    return "".join(f"mov al, {value}\n out {port}, al\n" for port, value in pairs)


CONTROLLERS = write(
    *((0x20, 0x11), (0x21, 0x08), (0x21, 4), (0x21, 1), (0x21, 0xF9)),
    *((0xA0, 0x11), (0xA1, 0x70), (0xA1, 2), (0xA1, 1), (0xA1, 0xEF)),
    *((0x64, 0x60), (0x60, 0x47), (0x64, 0xA8), (0x64, 0xD4), (0x60, 0xF4)),
)
"""Both interrupt controllers; translation and both interrupts on, and the mouse's reports."""
GUEST = f"""
    xor ax, ax
    mov ds, ax
    mov word ptr [4 * 0x09], offset ended
    mov word ptr [4 * 0x09 + 2], ax
    mov word ptr [4 * 0x74], offset ended
    mov word ptr [4 * 0x74 + 2], ax
    {CONTROLLERS}
1:  sti
    hlt
2:  cli
    in al, 0x64
    test al, 1
    jz 1b
    in al, 0x60
    mov bl, al
    shr al, 4
    call digit
    mov al, bl
    and al, 15
    call digit
    mov al, ' '
    call send
    jmp 2b
digit:
    add al, '0'
    cmp al, '9'
    jbe send
    add al, 'a' - '9' - 1
send:
    mov dx, 0x3f8
    out dx, al
    ret
ended:
    push ax
    mov al, 0x20
    out 0xa0, al
    out 0x20, al
    pop ax
    iret
"""
"""Sends what it reads from port 60h as hexadecimal digits."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "guest.bin").write_bytes(assemble(GUEST, 0x8000, 16))
    path = tmp_path / "typed.toml"
    path.write_text(MACHINE + PLUGS)
    return path


def test_keys_and_the_mouse_are_recorded_replayed_and_undone(vmmgr: Vmmgr, file: Path) -> None:
    vmmgr("up", file, "-d", "--wait-for", "fa ")
    console = vmmgr.terminal("console", "typed", timeout=60)
    console.expect_exact("fa ")

    vmmgr("keys", "typed", "aB<ctrl-up>")
    console.expect_exact("1e 9e 2a 30 b0 aa 1d e0 48 e0 c8 9d ")
    vmmgr("ctl", "typed", "keys", '{"key": "pause", "down": true}')
    console.expect_exact("e1 1d 45 e1 9d c5 ")
    vmmgr("ctl", "typed", "mouse", '{"right": 5, "down": 3, "press": "left"}')
    console.expect_exact("29 05 fd ")
    console.close()
    logged = vmmgr("logs", "typed").stdout

    vmmgr("step-back", "typed", "2")
    vmmgr("keys", "typed", "<esc>")
    console = vmmgr.terminal("console", "typed", timeout=60)
    console.expect_exact("c8 9d 01 81 ")
    console.close()
    vmmgr("down", "typed")

    assert logged == "fa 1e 9e 2a 30 b0 aa 1d e0 48 e0 c8 9d e1 1d 45 e1 9d c5 29 05 fd "
    replay = vmmgr("replay", "typed")
    assert replay.stdout == "fa 1e 9e 2a 30 b0 aa 1d e0 48 e0 c8 9d 01 81 "
    assert "the same" in replay.stderr


def test_what_cannot_be_pressed_is_told(vmmgr: Vmmgr, file: Path) -> None:
    vmmgr("keys", "typed", "a", status=3)
    vmmgr("up", file, "-d", "--wait-for", "fa ")

    assert "no key is called 'entr'" in vmmgr("keys", "typed", "<entr>", status=2).stderr
    assert "no key for character 1" in vmmgr("keys", "typed", "é", status=2).stderr
    for command, arguments, told in (
        ("keys", '{"key": "nokey", "down": true}', "no key is called 'nokey'"),
        ("keys", '{"key": "a"}', "give 'keys', or 'key' and 'down'"),
        ("mouse", '{"press": "fourth"}', "no button is called 'fourth'"),
        ("mouse", '{"right": 40000}', "does not move by 40000"),
    ):
        assert told in vmmgr("ctl", "typed", command, arguments, status=2).stderr
    vmmgr("suspend", "typed")
    assert "not running" in vmmgr("keys", "typed", "a", status=4).stderr


def test_a_machine_without_keyboard_or_mouse_says_so(vmmgr: Vmmgr, file: Path) -> None:
    file.write_text(MACHINE)
    vmmgr("up", file, "-d")

    assert "typed has no keyboard" in vmmgr("keys", "typed", "a", status=2).stderr
    assert "typed has no mouse" in vmmgr("ctl", "typed", "mouse", "{}", status=2).stderr
