# SPDX-License-Identifier: BSD-2-Clause
"""A PCI card whose BARs are placed by the graph, SeaBIOS, OVMF and Linux."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.debian import package
from support.linux import IMAGES
from support.pci_card import MEMORY, REGISTERS, TABLE, Card, plugged
from support.suite import SECOND

from manager.bus.pci.registers import COMMAND_MEMORY
from manager.graph.build import load_graph
from manager.machine.machine import Machine

BOARD = """
schema = 1
[memory]
size = "256M"
[clock]
mode = "virtual"
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[slots.4]
device = "uart"
backend = "null"
[lpc.com1]
backend = "null"
[boot]
"""
LINUX = f'kernel = "{IMAGES / "vmlinuz"}"\ninitrd = "{IMAGES / "initrd.img"}"\n'
LINUX += 'cmdline = "console=ttyS0"\n'
COM1, DEBUG = "lpc.com1", "board.debug"
STEP = SECOND // 20
PROMPT = rb"/ # "
CARDS = (5, 6)


def machine(folder: Path, boot: str) -> Machine:
    file = folder / "placed.toml"
    file.write_text(BOARD + boot)
    return Machine.power_on(plugged(load_graph(file), CARDS))


def card(running: Machine, slot: int) -> Card:
    found = running._board.devices[f"slots.{slot}"]
    assert isinstance(found, Card)
    return found


def said(running: Machine, port: str, pattern: bytes, limit: int = 60 * SECOND) -> str:
    """Run until a port has sent what the pattern finds; all that it sent meanwhile."""
    output, end = b"", running.now() + limit
    while re.search(pattern, output) is None:
        assert running.now() < end, f"no {pattern!r} in {output[-2000:]!r}"
        assert running.run(running.now() + STEP) is None
        output += running.ports[port].take_output()
    return output.decode(errors="replace")


def bases(of: Card) -> dict[int, int]:
    """Where the memory BARs point."""
    bars = of.function.state.bars
    return {REGISTERS: bars[0], TABLE: bars[3] << 32 | bars[2] & ~0xF, MEMORY: bars[4] & ~0xF}


def check_apart(running: Machine) -> None:
    """All BARs decode, at places of their own."""
    claimed = [(base, length) for base, length, _ in running._board.addresses.registers()]
    for slot in CARDS:
        assert card(running, slot).function.state.decoding == 0b10111
        for bar, base in bases(card(running, slot)).items():
            assert (base, 0x1000) in claimed or bar == MEMORY
    places = sorted(base for slot in CARDS for base in bases(card(running, slot)).values())
    assert len(set(places)) == 6


def test_seabios_places_the_bars_and_runs_the_roms(tmp_path: Path) -> None:
    running = machine(
        tmp_path, f'firmware = "{package("seabios")}/usr/share/seabios/bios-256k.bin"'
    )

    log = said(running, DEBUG, rb"No bootable device")

    placed = re.findall(r"bdf=00:0([56]).0  bar ([024]), addr ([0-9a-f]+), ", log)
    assert {(int(slot), int(bar)): int(base, 16) for slot, bar, base in placed} == {
        (slot, bar): base for slot in CARDS for bar, base in bases(card(running, slot)).items()
    }
    check_apart(running)
    assert len(re.findall(r"Running option rom at c0[08]0:0003\nR", log)) == 2


def test_ovmf_puts_the_wide_bars_above_4_gib(tmp_path: Path) -> None:
    firmware = package("ovmf") / "usr/share/ovmf/OVMF.fd"
    running = machine(tmp_path, f'firmware = "{firmware}"')

    last = card(running, CARDS[-1])
    while not last.function.state.command & COMMAND_MEMORY:
        assert running.now() < 60 * SECOND
        running.run(running.now() + STEP)

    check_apart(running)
    assert all(bases(card(running, slot))[TABLE] >= 1 << 32 for slot in CARDS)


@pytest.mark.usefixtures("linux")
def test_linux_finds_the_card_where_the_graph_put_it(tmp_path: Path) -> None:
    running = machine(tmp_path, LINUX)
    placed = bases(card(running, 5))
    said(running, COM1, PROMPT)

    running.ports[COM1].feed(
        b"cat /sys/bus/pci/devices/0000:00:05.0/resource | cut -d' ' -f1 | head -n 7\r"
    )
    resources = said(running, COM1, rb"\n/ # ")
    running.ports[COM1].feed(f"devmem {placed[REGISTERS]:#x}\r".encode())
    value = said(running, COM1, rb"\n/ # ")

    lines = [int(line, 16) for line in re.findall(r"^(0x\w{16})\r?$", resources, re.MULTILINE)]
    assert [lines[bar] for bar in placed] == list(placed.values())
    assert lines[6] == 0xE002_0000
    assert f"0x{int.from_bytes(b'CARD', 'little'):08X}" in value
    check_apart(running)
