# SPDX-License-Identifier: BSD-2-Clause
"""The window of a VGA on a real CPU: what is mapped as memory is what the registers would do."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.assembler import assemble

from manager.bus.memory import home
from manager.devices.vga.device import Vga
from manager.graph.build import load_graph
from manager.machine.machine import Machine

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
bios = "guest.bin"
[slots.31]
device = "lpc"
[lpc.debug-exit]
port = 0xf4
"""
END = "\n mov al, 0\n out 0xf4, al\n 9: hlt\n jmp 9b\n"


def ran(folder: Path, source: str) -> Machine:
    """The machine after a 16-bit program, which begins with ds at the text screen."""
    (folder / "guest.bin").write_bytes(
        assemble("mov ax, 0xb800\n mov ds, ax\n mov es, ax\n" + source + END, 0x8000, 16)
    )
    (folder / "m.toml").write_text(MACHINE)
    machine = Machine.power_on(load_graph(folder / "m.toml"))
    ended = machine.run(1_000_000_000)
    assert ended is not None
    assert ended.reason == "debug-exit"
    return machine


def card(machine: Machine) -> Vga:
    vga = machine._board.vga
    assert vga is not None
    return vga


def out(port: int, index: int, value: int) -> str:
    return f"mov dx, {port}\n mov ax, {value << 8 | index}\n out dx, ax\n"


def test_text_is_stored_without_the_device(tmp_path: Path) -> None:
    source = "mov word ptr [0], 0x1f48\n mov word ptr [2], 0x1f69\n mov ax, [2]\n mov [4], ax\n"
    machine = ran(tmp_path, source)

    screen = machine.screen()

    assert screen is not None
    assert screen.lines() == ["Hii", *[""] * 24]
    assert card(machine).planes.memory[:6] == b"H\x1fi\x1fi\x1f"
    assert machine.engine.touched(home(2, 0, 0))[0] == 1


PLANE_2 = out(0x3C4, 2, 4) + out(0x3C4, 4, 6) + out(0x3CE, 5, 0) + out(0x3CE, 6, 8)
BACK = out(0x3C4, 2, 3) + out(0x3C4, 4, 2) + out(0x3CE, 5, 0x10) + out(0x3CE, 6, 0x0E)


def test_the_window_goes_to_the_planes_and_back(tmp_path: Path) -> None:
    source = (
        "mov word ptr [0], 0x0741\n"
        + PLANE_2
        + "mov bx, 0xb000\n mov ds, bx\n mov byte ptr [32 * 0x41], 0x99\n mov bx, 0xb800\n"
        + "mov ds, bx\n"
        + BACK
        + "mov al, [0]\n mov [2], al\n"
    )
    vga = card(ran(tmp_path, source))

    assert vga.planes.read(0) == 0x000741 | vga.planes.read(0) & 0xFFFF0000
    assert vga.planes.read(1) & 0xFFFF == 0x0741
    assert vga.planes.read(32 * 0x41) >> 16 & 0xFF == 0x99


CHAIN_4 = (
    out(0x3C4, 2, 0xF) + out(0x3C4, 4, 0x0E) + out(0x3CE, 5, 0x40) + out(0x3CE, 6, 5)
    + "mov bx, 0xa000\n mov ds, bx\n"
)  # fmt: skip


@pytest.mark.parametrize("slow", [False, True])
def test_chain_4_does_the_same_with_and_without_the_device(tmp_path: Path, slow: bool) -> None:
    # To "or" with the latches, which are 0, changes nothing but that the device has to do it.
    function = out(0x3CE, 3, 0x10 if slow else 0)
    fill = "mov cx, 200\n mov di, 0\n mov al, 7\n 1: mov [di], al\n add al, 3\n inc di\n loop 1b\n"
    read = out(0x3CE, 3, 0) + "mov al, [9]\n mov [300], al\n"
    vga = card(ran(tmp_path, CHAIN_4 + function + fill + read))

    assert vga.planes.memory[:200] == bytes((7 + 3 * n) & 0xFF for n in range(200))
    assert vga.planes.memory[300] == 7 + 27


def test_a_bank_of_a_dispi_mode_is_in_the_window(tmp_path: Path) -> None:
    def dispi(index: int, value: int) -> str:
        return (
            f"mov dx, 0x1ce\n mov ax, {index}\n out dx, ax\n inc dx\n mov ax, {value}\nout dx, ax\n"
        )

    source = "".join(dispi(*item) for item in ((1, 640), (2, 480), (3, 8), (4, 1), (5, 2)))
    source += "mov bx, 0xa000\n mov ds, bx\n mov byte ptr [5], 0x42\n"
    source += dispi(5, 0) + "mov byte ptr [5], 0x43\n" + dispi(5, 2) + "mov al, [5]\n mov [6], al\n"
    memory = card(ran(tmp_path, source)).planes.memory

    assert (memory[0x20005], memory[5], memory[0x20006]) == (0x42, 0x43, 0x42)
