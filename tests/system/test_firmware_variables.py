# SPDX-License-Identifier: BSD-2-Clause
"""OVMF keeps its variables in flash: over a reset, a power-off and a suspend, and back in time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.debian import package
from support.vmmgr import Vmmgr

pytestmark = pytest.mark.guest

MACHINE = """
schema = 1
[memory]
size = "128M"
[boot]
firmware = "{folder}/OVMF_CODE_4M.fd"
variables = "{folder}/OVMF_VARS_4M.fd"
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[lpc.com1]
[ready]
port = "com1"
wait-for = "any other key"
"""
VARIABLE = "setvar Mine -guid 11111111-2222-3333-4444-555555555555"


class Firmware:
    """A machine with a UEFI shell."""

    def __init__(self, vmmgr: Vmmgr, folder: Path) -> None:
        self.vmmgr = vmmgr
        self.file = folder / "uefi.toml"
        self.file.write_text(MACHINE.format(folder=package("ovmf") / "usr/share/OVMF"))
        self.marks = 0

    def up(self) -> None:
        """To the shell's prompt."""
        self.vmmgr("up", self.file, "-d")
        self.type("")

    def type(self, command: str) -> str:
        """What the shell answers. What is typed is echoed with a move of the cursor a character."""
        self.marks += 1
        mark = f"done{self.marks}."
        self.vmmgr("send", "uefi", rf"{command}\recho {mark}\r")
        while mark not in (log := self.vmmgr("logs", "uefi").stdout):
            pass
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", log[: log.index(mark)].rpartition("Shell>")[0])

    @property
    def variable(self) -> str:
        """Its bytes; empty when there is none."""
        answer = self.type(VARIABLE).rpartition("Shell>")[2]
        found = re.search(r"Mine - \d+ Bytes\s+((?:[0-9A-F]{2} )+)", answer)
        return found[1].strip() if found else ""

    def set(self, value: str) -> None:
        """Make it non-volatile."""
        self.type(f"{VARIABLE} -nv -bs =0x{value}")


def test_variables_outlive_reset_and_power_off_and_go_back_with_a_snapshot(
    vmmgr: Vmmgr, tmp_path: Path
) -> None:
    uefi = Firmware(vmmgr, tmp_path)
    uefi.up()
    assert uefi.variable == ""
    uefi.set("C0FFEE00")
    vmmgr("snapshot", "save", "uefi", "coffee")
    uefi.set("7EA00000")
    assert uefi.variable == "00 00 A0 7E"
    vmmgr("down", "uefi")

    uefi.up()
    assert uefi.variable == "00 00 A0 7E"
    vmmgr("suspend", "uefi")
    vmmgr("snapshot", "restore", "uefi", "coffee")
    vmmgr("resume", "uefi", "-d")
    assert uefi.variable == "00 EE FF C0"
    vmmgr("down", "uefi")

    vmmgr("disk", "reset", "uefi")
    uefi.up()
    assert uefi.variable == ""
