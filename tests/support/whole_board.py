# SPDX-License-Identifier: BSD-2-Clause
"""A board with every type of device, and no CPU."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from manager import cbor
from manager.bus.clock import Clock, ManualTime
from manager.bus.lines import Wire
from manager.bus.memory import Memory
from manager.bus.mmio import MemoryBus
from manager.bus.ports import PortBus
from manager.bus.record import Record, from_plain, to_plain
from manager.devices.lapic.device import CpuPins
from manager.graph.build import load_graph
from manager.graph.nodes import Graph
from manager.machine import bar_memory
from manager.machine.board import Board, Outside
from manager.storage.base import Zeros
from manager.storage.blocks import DiskBlocks
from manager.storage.disk import Disk
from manager.storage.write_log import WriteLog

EVERYTHING = """
schema = 1
[memory]
size = "4M"
[boot]
firmware = "bios.bin"
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
[slots.5]
device = "virtio-blk"
disk = "one"
[slots.6]
device = "nvme"
disk = "two"
[slots.7]
device = "virtio-rng"
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
[lpc.debug-exit]
port = 0xf4
"""


@dataclass
class Seen:
    """What a board did to its surroundings."""

    intr: list[bool] = field(default_factory=list)


def board(seen: Seen | None = None, graph: Graph | None = None) -> Board:
    """A board at virtual time 1 s, by default with every type of device, and no run loop."""
    seen = seen or Seen()
    graph = graph or whole_graph()
    time = ManualTime(1_000_000_000)
    outside = Outside(
        cpus=[CpuPins(Wire(seen.intr.append), lambda: None)],
        current=lambda: 0,
        set_a20=lambda enabled: None,
        reset_cpu=lambda: None,
        reset=lambda: None,
        power_off=lambda: None,
        end=lambda status: None,
        post=lambda kind, port, data: None,
        memory=Memory.blank(graph.memory_size, bar_memory.layout(graph)),
        addresses=MemoryBus(),
        blocks=lambda name: DiskBlocks(
            Disk(Zeros(1 << 30), WriteLog.nameless()), name, lambda fault: None
        ),
        written=lambda start, end: None,
    )
    return Board(graph, PortBus(), Clock(time), outside)


@cache
def whole_graph() -> Graph:
    """The graph of EVERYTHING; its firmware is zeros."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bios.bin").write_bytes(bytes(1 << 16))
        (Path(folder) / "machine.toml").write_text(EVERYTHING)
        return load_graph(Path(folder) / "machine.toml")


def through_a_file(record: Record) -> Record:
    """As it comes back from a snapshot."""
    plain = cbor.decode(cbor.encode(to_plain(record)))
    return from_plain(type(record), plain, record.VERSION, "device")
