# SPDX-License-Identifier: BSD-2-Clause
"""Wires between machines that are there."""

from __future__ import annotations

from pathlib import Path

from manager.graph.labs import load_lab
from manager.lab.wires import Wires
from manager.machine.machine import Machine
from manager.machine.serial_port import PENDING_LIMIT

NODE = """
[memory]
size = "1M"
[boot]
image = "guest.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[slots.0]
device = "hostbridge"
[slots.31]
device = "lpc"
[lpc.com1]
"""
LAB = """
[machines.one]
file = "node.toml"
[machines.two]
file = "node.toml"
[cables.serial]
ends = ["one.com1", "two.com1"]
"""


def test_a_port_that_no_guest_reads_takes_only_so_much(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(NODE)
    (tmp_path / "guest.bin").write_bytes(b"\xfb\xf4\xeb\xfd")  # sti; again: hlt; jmp again
    (tmp_path / "lab.toml").write_text(LAB)
    lab = load_lab(tmp_path / "lab.toml")
    machines = {name: Machine.power_on(graph) for name, graph in lab.members.items()}
    try:
        wires = Wires(lab, machines)
        sender, full = machines["one"].ports["lpc.com1"], machines["two"].ports["lpc.com1"]
        full.arrive(bytes(PENDING_LIMIT + 16))  # the uart takes a few
        before = full.pending
        for byte in b"more":
            sender.transmit(byte)
        wires.collect()
        wires.deliver(10**9)
        machines["two"].run(10**9)

        assert full.pending <= before
        ends = wires.describe()["cables"][0]["ends"]
        assert ends[0]["sent"] == 4
        assert (ends[1]["received"], ends[1]["dropped"]) == (0, 4)
    finally:
        for machine in machines.values():
            machine.free()
