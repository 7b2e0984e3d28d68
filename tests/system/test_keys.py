# SPDX-License-Identifier: BSD-2-Clause
"""Keys, in guests that know them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.debian import package
from support.grub import grub
from support.vmmgr import Vmmgr

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
