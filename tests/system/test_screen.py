# SPDX-License-Identifier: BSD-2-Clause
"""Screens of machines: SeaBIOS's text and pictures of it, running, suspended and replayed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from support.assembler import assemble
from support.debian import package
from support.vmmgr import Vmmgr

from manager.screen.picture import read_png

MACHINE = """
schema = 1
name = "screen"
[memory]
size = "16M"
[clock]
mode = "virtual"
[boot]
firmware = "{folder}/bios-256k.bin"
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[slots.2]
device = "vga"
bios = "{folder}/vgabios-stdvga.bin"
[lpc.com1]
"""
DONE = "No bootable device"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A machine without anything to boot."""
    folder = package("seabios") / "usr/share/seabios"
    path = tmp_path / "screen.toml"
    path.write_text(MACHINE.format(folder=folder))
    return path


def test_firmware_talks_on_the_screen(vmmgr: Vmmgr, file: Path, tmp_path: Path) -> None:
    vmmgr("up", file, "-d", "--wait-for", DONE)
    vmmgr("ctl", "screen", "pause")

    text = vmmgr("screen", "screen").stdout
    vmmgr("screenshot", "screen", "-o", tmp_path / "running.png")
    vmmgr("suspend", "screen")
    suspended = vmmgr("screen", "screen").stdout
    vmmgr("screenshot", "screen", "-o", tmp_path / "suspended.png")
    vmmgr("resume", "-d", "--paused", "screen")
    vmmgr("screenshot", "screen", "-o", tmp_path / "resumed.png")
    told = json.loads(vmmgr("screen", "screen", "--json").stdout)
    vmmgr("down", "screen")

    assert text.startswith("SeaBIOS (version ")
    assert text.rstrip().endswith("No bootable device.")
    assert suspended == text
    assert (told["mode"], len(told["lines"])) == ("text, 80x25", 25)
    pictures = {
        hashlib.sha256((tmp_path / f"{when}.png").read_bytes()).hexdigest()
        for when in ("running", "suspended", "resumed")
    }
    assert len(pictures) == 1


def test_a_machine_without_a_card_has_no_screen(vmmgr: Vmmgr, file: Path) -> None:
    text = file.read_text()
    start, end = text.index("[slots.2]"), text.index("[lpc.com1]")
    file.write_text(text[:start] + text[end:])
    vmmgr("up", file, "-d", "--wait-for", DONE)

    for words in (("screen", "screen"), ("screenshot", "screen", "-o", "-")):
        result = vmmgr(*words, status=2)
        assert "screen has no screen" in result.stderr
        assert 'device = "vga"' in result.stderr


def test_verify_holds_with_a_screen(vmmgr: Vmmgr, file: Path) -> None:
    vmmgr("verify", file, "--points", "2", "--seed", "1", "--until", "1s", "-j", "1")


def test_a_graphics_mode_has_a_picture_and_no_text(
    vmmgr: Vmmgr, file: Path, tmp_path: Path
) -> None:
    def dispi(index: int, value: int) -> str:
        select = f"mov ax, {index}\n mov dx, 0x1ce\n out dx, ax\n inc dx\n"
        return select + f"mov ax, {value}\n out dx, ax\n"

    source = "".join(dispi(*item) for item in ((1, 320), (2, 200), (3, 8), (4, 1)))
    (tmp_path / "g.bin").write_bytes(assemble(source + "sti\n 1: hlt\n jmp 1b", 0x8000, 16))
    text = file.read_text()
    start, end = text.index("firmware"), text.index("[slots.0]")
    image = 'image = "g.bin"\nload = 0x8000\nentry = 0x8000\nbits = 16\n'
    file.write_text(text[:start] + image + text[end:])
    vmmgr("up", file, "-d")

    result = vmmgr("screen", "screen", status=4)
    vmmgr("screenshot", "screen", "-o", tmp_path / "g.png")

    assert "graphics, 320x200" in result.stderr
    picture = read_png((tmp_path / "g.png").read_bytes())
    assert (picture.width, picture.height) == (320, 200)


def test_run_waits_for_text_on_the_screen(vmmgr: Vmmgr, file: Path) -> None:
    script = ("--screen-until", "^No bootable device", "--max-time", "10s")
    vmmgr("run", file, *script)
    result = vmmgr("run", file, "--screen-until", "never", "--max-time", "100ms", status=124)

    assert "still waiting for 'never'" in result.stderr


def test_run_says_that_there_is_no_screen(vmmgr: Vmmgr, file: Path) -> None:
    text = file.read_text()
    file.write_text(text[: text.index("[slots.2]")])

    result = vmmgr("run", file, "--screen-until", "x", status=2)

    assert "has no screen" in result.stderr
