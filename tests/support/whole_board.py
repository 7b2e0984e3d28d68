# SPDX-License-Identifier: BSD-2-Clause
"""A board with every type of device, and no CPU."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from manager import boot
from manager.graph.build import load_graph
from manager.graph.nodes import Graph
from manager.machine.board import Board
from manager.testing.bench import Bench

EVERYTHING = """
schema = 1
[memory]
size = "4M"
[boot]
firmware = "bios.bin"
variables = "vars.fd"
[slots.0]
device = "hostbridge"
[slots.4]
device = "uart"
backend = "null"
[disks.one]
size = "1G"
[disks.two]
size = "1G"
[disks.three]
size = "1G"
[disks.four]
size = "1G"
[shares.src]
folder = "src"
mode = "overlay"
[slots.5]
device = "virtio-blk"
disk = "one"
[slots.6]
device = "nvme"
disk = "two"
[slots.7]
device = "virtio-rng"
[slots.8]
device = "virtio-net"
[slots.9]
device = "ne2k"
[slots.10]
device = "e1000"
[slots.11]
device = "virtio-9p"
share = "src"
[slots.12]
device = "virtio-console"
[slots.12.ports.agent]
backend = "null"
[slots."1.1"]
device = "ide"
primary-master = "three"
secondary-slave = { disk = "four", type = "cdrom" }
[slots.1]
device = "uart"
[slots.31]
device = "lpc"
[lpc.com1]
backend = "null"
[lpc.com3]
backend = "null"
[lpc.ps2-keyboard]
[lpc.ps2-mouse]
[lpc.debug-exit]
port = 0xf4
"""


SCREEN = f"""
schema = 1
[memory]
size = "1M"
[boot]
image = "guest.bin"
load = 0x8000
entry = 0x8000
bits = 16
[slots.0]
device = "hostbridge"
[slots.2]
device = "vga"
bios = "{Path(boot.__file__).with_name("linux_rom.bin")}"
"""
"""A board of its own: on others something else has the ports of the CRT controller."""


def bench(graph: Graph | None = None) -> Bench:
    """A board at virtual time 1 s, by default with every type of device, and no run loop."""
    return Bench(graph or whole_graph())


def board(graph: Graph | None = None) -> Board:
    """The board alone."""
    return bench(graph).board


@cache
def whole_graph() -> Graph:
    """The graph of EVERYTHING; its firmware is zeros."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bios.bin").write_bytes(bytes(1 << 16))
        (Path(folder) / "machine.toml").write_text(EVERYTHING)
        return load_graph(Path(folder) / "machine.toml")


@cache
def screen_graph() -> Graph:
    """The graph of SCREEN."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "machine.toml").write_text(SCREEN)
        return load_graph(Path(folder) / "machine.toml")
