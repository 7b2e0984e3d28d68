# SPDX-License-Identifier: BSD-2-Clause
"""Machines that are recorded and replayed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from manager.graph.build import load_graph
from manager.graph.nodes import Graph
from manager.machine.machine import Machine
from manager.replay import recordings
from manager.replay.entries import Start
from manager.replay.recorder import Recorder, header_of
from manager.snapshot.read import open_snapshot
from manager.snapshot.write import write_snapshot

ROOT = Path(__file__).parents[3]
MILLISECOND = 1_000_000
SECOND = 1000 * MILLISECOND


class Recorded:
    """A machine that is recorded, as its owner does it."""

    def __init__(self, graph: Graph, directory: Path) -> None:
        self.directory = directory
        self.machine = Machine.power_on(graph)
        self.output = {id: bytearray() for id in self.machine.ports}
        self.begin(Start())

    def begin(self, start: Start) -> None:
        """Begin a log with the present state."""
        for id, port in self.machine.ports.items():
            port.listeners.add(self.output[id].extend)
        log = recordings.begin(self.directory, header_of(self.machine, start))
        self.recorder = Recorder(self.machine, log)

    def pump(self) -> None:
        """Hand output to the recorder."""
        for port in self.machine.ports.values():
            port.take_output()

    def run(self, until: int, slice_: int = 5 * MILLISECOND) -> None:
        """Run in slices."""
        while self.machine.now() < until:
            if self.machine.run(min(until, self.machine.now() + slice_)) is not None:
                break
            self.pump()

    def suspend_and_resume(self, state: Path) -> None:
        """End the log, and go on in another machine with another."""
        written = write_snapshot(state, self.machine.run_to_image())
        self.recorder.end("suspended", written.id.hex())
        self.machine = Machine.restore(self.machine.graph, open_snapshot(state))
        self.begin(Start(written.id.hex(), str(state), self.machine.now()))

    def type(self, text: str, port: str = "lpc.com1") -> None:
        """Send the guest something."""
        self.machine.ports[port].feed(text.encode())


@pytest.fixture
def hello() -> Graph:
    """The graph of machines/hello.toml."""
    return load_graph(ROOT / "machines" / "hello.toml")


@pytest.fixture
def recorded(hello: Graph, tmp_path: Path) -> Iterator[Recorded]:
    """hello, recorded from power-on."""
    made = Recorded(hello, tmp_path / "recordings")
    yield made
    made.recorder.detach()
