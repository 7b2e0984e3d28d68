# SPDX-License-Identifier: BSD-2-Clause
"""The board of a machine without a CPU: devices on their buses, and a time that is set by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from manager import cbor
from manager.bus.clock import SECOND, Clock, ManualTime
from manager.bus.lines import Wire
from manager.bus.memory import Memory
from manager.bus.mmio import MemoryBus
from manager.bus.ports import PortBus
from manager.bus.record import Record, from_plain, to_plain
from manager.devices.device import Device
from manager.devices.lapic.device import CpuPins
from manager.graph.build import load_graph
from manager.graph.nodes import Graph
from manager.machine import bar_memory
from manager.machine.board import Board, Outside
from manager.storage.base import Zeros
from manager.storage.blocks import DiskBlocks
from manager.storage.disk import Disk
from manager.storage.write_log import WriteLog
from manager.testing.grants import Noted

DISK_SIZE = 1 << 30


class Bench:
    """All devices of a machine file, for driving them from a test.

    Time begins at one second and passes by `pass_time` alone. Its disks are empty.

    >>> bench = Bench("machines/hello.toml")
    >>> bench.board.io.read(0x3FD, 1)
    96
    """

    def __init__(self, machine: Graph | Path | str, *, at: int = SECOND) -> None:
        graph = machine if isinstance(machine, Graph) else load_graph(Path(machine))
        self.graph = graph
        self.time = ManualTime(at)
        self.memory = Memory.blank(graph.memory_size, bar_memory.layout(graph))
        self.happened: list[str] = []
        """What devices did to the machine since the last look: "reset", "end 3", "intr high"."""
        note = self.happened.append
        self.grants = Noted()
        """What devices grant."""
        outside = Outside(
            cpus=[
                CpuPins(
                    Wire(lambda level: note(f"intr {'high' if level else 'low'}")),
                    lambda: note("nmi"),
                )
                for _ in range(graph.cpu_count)
            ],
            current=lambda: 0,
            set_a20=lambda enabled: None,
            reset_cpu=lambda: note("reset-cpu"),
            reset=lambda: note("reset"),
            power_off=lambda: note("power-off"),
            end=lambda status: note(f"end {status}"),
            post=lambda kind, port, data: None,
            memory=self.memory,
            addresses=MemoryBus(),
            blocks=lambda name: DiskBlocks(
                Disk(Zeros(DISK_SIZE), WriteLog.nameless()), name, lambda fault: None
            ),
            written=lambda start, end: None,
            grants=self.grants,
        )
        self.board = Board(graph, PortBus(self.grants), Clock(self.time), outside)
        for id, cable in self.board.network_ports.items():
            cable.listeners.add(lambda frame, id=id: note(f"{id} sends {frame.hex()}"))  # type: ignore[misc]

    def device(self, id: str) -> Device[Any]:
        """The device with that id. Raises KeyError."""
        return self.board.devices[id]

    def pass_time(self, ns: int) -> None:
        """Let virtual time go on, firing what falls due on the way."""
        self.time.advance(self.board.clock, ns)

    def states(self) -> dict[str, Any]:
        """The records of all devices in their stored form, by id."""
        saved = {id: device.save() for id, device in self.board.devices.items()}
        return {id: to_plain(record) for id, record in saved.items()}

    def restored(self) -> Bench:
        """A new bench in the state of this one, as if through a snapshot."""
        other = Bench(self.graph, at=self.time.value)
        for source, target in zip(self.memory.everything, other.memory.everything, strict=True):
            target.memory[:] = source.memory[:]
        for id, port in other.board.ports.items():
            port.load(stored(self.board.ports[id].save()))
        records = {id: stored(device.save()) for id, device in self.board.devices.items()}
        for id, device in other.board.devices.items():
            device.load(records[id])
        other.board.settle()
        other.happened.clear()
        return other


def stored(record: Any) -> Any:
    """A record as it comes back from a snapshot. Raises RecordError if it cannot be read."""
    kind: type[Record] = type(record)
    return from_plain(kind, cbor.decode(cbor.encode(to_plain(record))), kind.VERSION, kind.TYPE)
