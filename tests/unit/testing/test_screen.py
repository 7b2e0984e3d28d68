# SPDX-License-Identifier: BSD-2-Clause
"""Screens in tests: waiting for text, comparing with a picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.assembler import assemble

from manager import Machine, load
from manager.api import OutOfBudgetError
from manager.api.screen import Goldens
from manager.errors import UsageError
from manager.screen.compare import RED
from manager.screen.picture import read_png

MACHINE = """
schema = 1
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
[slots.2]
device = "vga"
bios = "font.bin"
"""
LATER = """
    mov ax, 0xb800
    mov ds, ax
    mov ecx, 20000000
1:  dec ecx
    jnz 1b
    mov word ptr [0], 0x1f48
    mov word ptr [2], 0x1f69
    sti
9:  hlt
    jmp 9b
"""
FONT = bytes(18) + bytes.fromhex("7e81a581") + b"\x3c" * 4074
"""Characters that are all the same, behind a blank and the first lines of a face."""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    (tmp_path / "guest.bin").write_bytes(assemble(LATER, 0x8000, 16))
    (tmp_path / "font.bin").write_bytes(FONT)
    (tmp_path / "m.toml").write_text(MACHINE)
    with load(tmp_path / "m.toml").boot() as made:
        made.goldens = Goldens(tmp_path / "golden", artifacts=tmp_path / "left")
        yield made


def test_a_test_waits_for_text_on_the_screen(machine: Machine) -> None:
    found = machine.screen.expect(r"H(\w)")

    assert found.group(1) == "i"
    assert machine.time > 10_000_000
    assert machine.screen.lines[0] == "Hi"
    assert machine.screen.mode == "text, 80x25"


def test_what_does_not_come_is_told_with_what_is_there(machine: Machine) -> None:
    machine.screen.expect("Hi")

    with pytest.raises(OutOfBudgetError) as failure:
        machine.screen.expect("login:", timeout="50ms")

    assert "'login:' on the screen (text, 80x25)" in str(failure.value)
    assert str(failure.value).endswith("Hi")


def test_a_screen_is_compared_dot_by_dot(machine: Machine, tmp_path: Path) -> None:
    machine.screen.expect("Hi")
    golden = tmp_path / "golden" / "hi.png"
    with pytest.raises(AssertionError, match="run pytest with --vmmgr-update"):
        machine.screen.assert_matches("hi.png")
    machine.goldens = Goldens(tmp_path / "golden", update=True)
    machine.screen.assert_matches("hi.png")
    machine.goldens = Goldens(tmp_path / "golden", artifacts=tmp_path / "left")
    machine.screen.assert_matches("hi.png")

    machine.core.screen().memory[1] = 0x4F  # type: ignore[union-attr, index]
    with pytest.raises(AssertionError) as failure:
        machine.screen.assert_matches("hi.png")

    picture = read_png(golden.read_bytes())
    assert (picture.width, picture.height) == (720, 400)
    assert "dots of 720x400 differ, at x 0-8, y 0-15" in str(failure.value)
    image = read_png((tmp_path / "left" / "hi.difference.png").read_bytes())
    assert image.pixels[3 * (720 * 8 + 8) :][:3] == RED
    assert (tmp_path / "left" / "hi.now.png").exists()


def test_what_is_no_picture_of_ours_is_told(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden" / "x.png").write_bytes(b"GIF89a")

    with pytest.raises(AssertionError, match="no PNG file"):
        machine.screen.assert_matches("x.png")


def test_a_machine_without_a_card_has_no_screen(tmp_path: Path) -> None:
    (tmp_path / "guest.bin").write_bytes(b"\xf4")
    (tmp_path / "m.toml").write_text(MACHINE[: MACHINE.index("[slots.2]")])

    with load(tmp_path / "m.toml").boot() as machine, pytest.raises(UsageError, match="no screen"):
        machine.screen.expect("x")
