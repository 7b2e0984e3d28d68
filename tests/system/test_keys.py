# SPDX-License-Identifier: BSD-2-Clause
"""Keys, in guests that know them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.debian import package
from support.grub import grub
from support.modules import complete, write_loading_initrd
from support.vmmgr import Vmmgr

from manager.api import Machine, load

MACHINE = """
schema = 1
name = "keys"
[memory]
size = "32M"
[clock]
mode = "virtual"
[boot]
firmware = "{folder}/bios-256k.bin"
kernel = "grub"
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[slots.2]
device = "vga"
bios = "{folder}/vgabios-stdvga.bin"
[lpc.com1]
"""
MENU = """
set timeout=-1
menuentry "the first" { true; }
menuentry "the second" { terminal_output console; echo "chosen: second"; read }
"""


@pytest.fixture
def menu(tmp_path: Path) -> Path:
    """A machine whose GRUB shows a menu on its screen."""
    folder = package("seabios") / "usr/share/seabios"
    (tmp_path / "grub").write_bytes(grub("i386-pc", {"grub/grub.cfg": MENU.encode()}))
    path = tmp_path / "keys.toml"
    path.write_text(MACHINE.format(folder=folder))
    return path


def test_a_menu_is_gone_through_by_keys(vmmgr: Vmmgr, menu: Path) -> None:
    script = ("--screen-until", "the second", "--keys", "<down><enter>")
    script += ("--screen-until", "chosen: second")

    vmmgr("run", menu, *script, "--max-time", "60s", timeout=300)


LINUX = """
schema = 1
name = "typed"
[memory]
size = "128M"
[clock]
mode = "virtual"
[boot]
kernel = "{kernel}"
initrd = "initrd.img"
cmdline = "console=tty0 quiet"
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[slots.2]
device = "vga"
[lpc.com1]
"""
PROMPT = "/ #$"


def type_line(machine: Machine, line: str, answer: str) -> None:
    """What it prints is on the screen, and the prompt after it."""
    machine.keyboard.type(f"clear; {line}\n")
    machine.screen.expect(f"{answer}\n(.*\n)*{PROMPT}")


def move_mouse(machine: Machine) -> bytes:
    """The picture in which Linux tells what its mouse reported."""
    machine.keyboard.type("clear; head -c 9 /dev/input/mice | hexdump -e '9/1 \"%02x \"'\n")
    machine.run_for("1s")
    machine.mouse.move(5, 3)
    machine.mouse.click()
    machine.screen.expect("28 05 fd 09 00 00 08 00 00")
    return machine.screen.png()


def test_linux_is_typed_to_and_its_mouse_moved_on_its_own_console(tmp_path: Path) -> None:
    kernel = complete()
    write_loading_initrd(tmp_path / "initrd.img", kernel, "psmouse", "evdev")
    (tmp_path / "typed.toml").write_text(LINUX.format(kernel=kernel.image))

    with load(tmp_path / "typed.toml").boot() as machine:
        machine.screen.expect(PROMPT)  # drawn by vgacon: it is told that there is a VGA
        type_line(machine, "echo 'Hello, {World}!' | tr a-z A-Z", r"HELLO, \{WORLD\}!")
        type_line(machine, "cat /proc/bus/input/devices | grep Name", "(.*keyboard.*\n)(.*Mouse.*)")
        machine.snapshot(tmp_path / "saved")
        before = machine.screen.png()
        after = move_mouse(machine)

    with load(tmp_path / "typed.toml").resume(tmp_path / "saved") as again:
        assert again.screen.png() == before
        assert move_mouse(again) == after
