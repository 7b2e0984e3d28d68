# SPDX-License-Identifier: BSD-2-Clause
"""What firmware writes and a boot sector draws is, to the dot, what is kept in `goldens`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.assembler import assemble
from support.debian import package
from support.vmmgr import Vmmgr

from manager.api import load
from manager.api.screen import Goldens
from manager.testing.golden import Golden

GOLDENS = Path(__file__).parent / "goldens"
MACHINE = """
schema = 1
name = "drawn"
[memory]
size = "16M"
[clock]
mode = "virtual"
[boot]
firmware = "{folder}/bios-256k.bin"
[disks]
sector = {{ image = "sector.img" }}
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[slots."1.1"]
device = "ide"
primary-master = "sector"
[slots.2]
device = "vga"
bios = "{folder}/vgabios-stdvga.bin"
[lpc.com1]
"""
END = """
    mov dx, 0x3f8
    mov al, '!'
    out dx, al
1:  hlt
    jmp 1b
    .org 510
    .word 0xaa55
"""
MODE_13H = f"""
    mov ax, 0x13
    int 0x10
    mov ax, 0xa000
    mov es, ax
    xor di, di
    xor dx, dx
2:  xor cx, cx
3:  mov al, cl
    xor al, dl
    stosb
    inc cx
    cmp cx, 320
    jb 3b
    inc dx
    cmp dx, 200
    jb 2b
    {END}
"""
"""Each dot has the colour x xor y."""
MODE_12H = f"""
    mov ax, 0x12
    int 0x10
    mov ax, 0xa000
    mov es, ax
    mov bl, 1
2:  mov dx, 0x3c4
    mov al, 2
    mov ah, bl
    out dx, ax
    xor di, di
    mov cx, 80 * 480
3:  mov ax, di
    shr ax, 5
    and al, bl
    neg al
    sbb al, al
    stosb
    loop 3b
    shl bl, 1
    cmp bl, 16
    jb 2b
    {END}
"""
"""Sixteen colours in turn, 256 dots each, a plane at a time."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = package("seabios") / "usr/share/seabios"
    path = tmp_path / "drawn.toml"
    path.write_text(MACHINE.format(folder=folder))
    return path


def test_firmware_says_what_it_said(file: Path, request: pytest.FixtureRequest) -> None:
    (file.parent / "sector.img").write_bytes(bytes(1 << 20))

    with load(file).boot() as machine:
        machine.screen.expect("No bootable device")
        text = re.sub(r"version [^)]+", "version V", machine.screen.text).rstrip()

    Golden(GOLDENS, request.config.getoption("--vmmgr-update"))("seabios.txt", text)


def draw(file: Path, code: str) -> None:
    """The disk's first sector."""
    (file.parent / "sector.img").write_bytes(assemble(code, 0x7C00, 16).ljust(1 << 20, b"\0"))


@pytest.mark.parametrize(("name", "code"), [("mode-13h", MODE_13H), ("mode-12h", MODE_12H)])
def test_a_boot_sector_draws_what_it_drew(
    file: Path, name: str, code: str, request: pytest.FixtureRequest
) -> None:
    draw(file, code)
    goldens = Goldens(GOLDENS, request.config.getoption("--vmmgr-update"), file.parent)

    with load(file).boot() as machine:
        machine.goldens = goldens
        machine.console().expect("!")
        machine.snapshot(file.parent / "saved")
        machine.screen.assert_matches(f"{name}.png")

    with load(file).resume(file.parent / "saved") as again:
        again.goldens = goldens
        again.screen.assert_matches(f"{name}.png")


def test_a_rewound_run_draws_it_again(vmmgr: Vmmgr, file: Path) -> None:
    draw(file, MODE_13H)
    pictures = [file.parent / f"{number}.png" for number in range(3)]

    vmmgr("up", file, "-d", "--wait-for", "!")
    vmmgr("screenshot", "drawn", "-o", pictures[0])
    vmmgr("ctl", "drawn", "pause")
    vmmgr("rewind", "drawn", "@1ms")
    vmmgr("screenshot", "drawn", "-o", pictures[1])
    vmmgr("ctl", "drawn", "continue")
    vmmgr("up", "drawn", "-d", "--wait-for", "!")
    vmmgr("screenshot", "drawn", "-o", pictures[2])

    first, early, again = (picture.read_bytes() for picture in pictures)
    assert first == again == (GOLDENS / "mode-13h.png").read_bytes()
    assert early != first
