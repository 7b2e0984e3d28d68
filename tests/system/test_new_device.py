# SPDX-License-Identifier: BSD-2-Clause
"""A device kind is added by the files of one folder: those that the documentation shows."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.assembler import assemble
from support.tutorial import blocks
from support.vmmgr import ROOT, Vmmgr

PAGES = {"counter": "docs/devices.md", "summer": "docs/pci.md"}
FOLDER = "# manager/devices/"
MACHINE = """
schema = 1
[memory]
size = "16M"
[boot]
image = "guest.bin"
load = 0x8000
entry = 0x8000
bits = 32
[slots.0]
device = "hostbridge"
[slots.9]
device = "summer"
[slots.31]
device = "lpc"
[lpc.com1]
backend = "null"
[lpc.counter]
port = 0x310
"""
GUEST = """
        mov     esp, 0x7000
        mov     dword ptr [0xfee000f0], 0x1ff   # local APIC on
        mov     ecx, 0x80004804                 # memory, bus master
        mov     eax, 6
        call    write_config
        mov     ecx, 0x80004818
        call    read_config
        mov     ebx, eax                        # BAR 2: MSI-X
        mov     dword ptr [ebx], 0xfee00000
        mov     dword ptr [ebx + 4], 0
        mov     dword ptr [ebx + 8], 0x41
        mov     dword ptr [ebx + 12], 0
        mov     ecx, 0x80004840
        mov     eax, 0x80000000
        call    write_config
        mov     ecx, 0x80004810
        call    read_config
        mov     edi, eax                        # BAR 0: registers
        mov     dword ptr [edi], offset data
        mov     dword ptr [edi + 4], 3

        mov     eax, [edi + 8]
        call    tell                            # 6: the sum, by DMA
        mov     eax, [0xfee00220]
        shr     eax, 1
        call    tell                            # 1: vector 41h waits in the local APIC
        mov     dx, 0x310
        in      al, dx
        in      al, dx
        call    tell                            # 2: reads
        mov     dword ptr [0xfee00080], 0xff    # nothing has the priority to interrupt
idle:   sti
        hlt
        jmp     idle

tell:   add     al, '0'
        mov     dx, 0x3f8
        out     dx, al
        ret
read_config:
        mov     dx, 0xcf8
        xchg    eax, ecx
        out     dx, eax
        mov     dx, 0xcfc
        in      eax, dx
        ret
write_config:
        mov     dx, 0xcf8
        xchg    eax, ecx
        out     dx, eax
        mov     dx, 0xcfc
        xchg    eax, ecx
        out     dx, eax
        ret
data:   .byte   1, 2, 3
"""
CONTRACT = """
import sys
from manager.testing.contract import check_device
for id in sys.argv[2:]:
    check_device(sys.argv[1], id, seeds=3)
"""


def files_of(page: str) -> dict[str, str]:
    """The files that a page shows, by their path."""
    shown = {}
    for block in blocks((ROOT / page).read_text()):
        first, _, rest = block.text.partition("\n")
        if first.startswith(FOLDER):
            shown[first.removeprefix("# ")] = rest
    return shown


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with two kinds more."""
    folder = tmp_path_factory.mktemp("tree")
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "manager", folder / "manager", ignore=without)
    for kind, page in PAGES.items():
        files = files_of(page)
        assert {Path(name).parent.name for name in files} == {kind}
        (folder / "manager/devices" / kind).mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
    (folder / "new.toml").write_text(MACHINE)
    (folder / "guest.bin").write_bytes(assemble(GUEST, 0x8000, 32))
    return folder


@pytest.fixture
def vmmgr(tree: Path, tmp_path: Path) -> Iterator[Vmmgr]:
    command = Vmmgr(tmp_path, tree)
    yield command
    command.any("down", "--all")


def test_a_machine_file_may_have_it(vmmgr: Vmmgr, tree: Path) -> None:
    vmmgr("validate", "new.toml")
    plan, graph = vmmgr("plan", "new.toml").stdout, vmmgr("graph", "new.toml").stdout
    schema = vmmgr("schema").stdout
    (tree / "wrong.toml").write_text(MACHINE.replace("0x310", "0x3f8"))

    assert "9     summer      1234:5533" in plan
    assert "0x310        -    lpc.counter" in plan
    assert "slot 9: summer  1234:5533, 0xe0000000-0xe0000fff, 0xe0001000-0xe0001fff" in graph
    assert "counter  0x310" in graph
    assert {"summer", "counter"} <= set(json.dumps(json.loads(schema)).split('"'))
    assert "lpc.com1" in vmmgr("validate", "wrong.toml", status=2).stdout


def test_a_guest_drives_it_and_a_snapshot_shows_it(vmmgr: Vmmgr) -> None:
    vmmgr("up", "-d", "new.toml", "--wait-for", "612")
    vmmgr("suspend", "new")

    shown = vmmgr("snapshot", "show", "new").stdout

    assert "slots.9: summer, version 1" in shown
    assert "sum = 0x6  # what they come to" in shown
    assert "lpc.counter: counter, version 1" in shown
    assert "reads = 0x2  # how often the port was read, modulo 256" in shown


def test_it_keeps_the_contract(vmmgr: Vmmgr, tree: Path) -> None:
    ids = ("slots.9", "lpc.counter")

    subprocess.run(
        [sys.executable, "-c", CONTRACT, "new.toml", *ids], cwd=tree, env=vmmgr.env, check=True
    )
