# SPDX-License-Identifier: BSD-2-Clause
"""Output reaches log, backend and listeners; a slow backend holds the guest, not the socket."""

from __future__ import annotations

import resource
import selectors
from contextlib import contextmanager

import pytest

from manager.errors import UsageError
from manager.graph.nodes import Ready
from manager.graph.port_names import console_of, resolve_port
from manager.vmm.connections import (
    BACKLOG_LIMIT,
    PENDING_LIMIT,
    SerialConnection,
    SerialConnections,
)
from manager.vmm.loop import EventLoop
from manager.vmm.outcome import Outcome
from manager.vmm.running import RunningMachine
from manager.vmm.status import status_of


class Slow:
    """A backend that keeps what it gets."""

    dropped = 0
    fault = ""
    connected = None

    def __init__(self) -> None:
        self.kept = bytearray()
        self.held = False
        self.receive = None

    @property
    def backlog(self) -> int:
        return len(self.kept)

    def attach(self, selector, receive) -> None:
        self.receive = receive

    def write(self, data: bytes) -> None:
        self.kept += data

    def hold(self, held: bool) -> None:
        self.held = held

    def poll(self) -> None:
        pass

    def describe(self) -> str:
        return "slow"

    def close(self) -> None:
        pass


@contextmanager
def no_room():
    """Nothing can be written to a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def machine(fake, graph):
    return fake(graph("lpc.com1"))


@pytest.fixture
def slow() -> Slow:
    return Slow()


def test_output_goes_to_log_backend_and_listeners(machine, slow, tmp_path) -> None:
    connections = SerialConnections(machine.ports, "lpc.com1", lambda id: tmp_path / "com1.log")
    connections.connect("lpc.com1", slow, selectors.DefaultSelector())
    heard = bytearray()
    connections.find(None).listeners.add(heard.extend)
    machine.run(3_000_000)

    connections.pump()

    connections.close()
    assert (tmp_path / "com1.log").read_bytes() == slow.kept == heard == b"booting\r\n"


def test_a_full_disk_does_not_stop_the_port(machine, tmp_path) -> None:
    connection = SerialConnection(machine.ports["lpc.com1"], tmp_path / "com1.log")
    machine.run(3_000_000)

    with no_room():
        connection.take_output()

    told = connection.describe()
    assert told["log-fault"] == "File too large"
    assert told["log-lost"] == len(b"booting\r\n")
    connection.close()


def test_a_backend_is_held_while_the_guest_takes_no_input(machine, slow) -> None:
    connections = SerialConnections(machine.ports, "lpc.com1")
    connections.connect("lpc.com1", slow, selectors.DefaultSelector())

    slow.receive(b"x" * (PENDING_LIMIT + 1))
    assert slow.held

    machine.console.receive()
    connections.arrived()
    connections.pump()
    assert not slow.held


def test_virtual_time_stands_still_while_a_backend_is_behind(machine, slow) -> None:
    connections = SerialConnections(machine.ports, "lpc.com1")
    connections.connect("lpc.com1", slow, selectors.DefaultSelector())
    slow.kept += bytes(BACKLOG_LIMIT + 1)
    running = RunningMachine(machine, connections)
    loop = EventLoop(running, selectors.DefaultSelector(), paced=False)
    seen = {}

    def look() -> None:
        seen.update(status_of(running))
        slow.kept.clear()
        machine.console.feed(b"off\n")

    loop.timers.after(0.05, look)
    outcome = loop.run()

    assert seen["state"] == "blocked"
    assert seen["blocked-on"] == "lpc.com1"
    assert seen["virtual-time"] == 0
    assert outcome == Outcome("ended", 0, "the guest powered off", "power-off")


@pytest.mark.parametrize("wanted", ["com1", "lpc.com1"])
def test_a_port_has_a_short_name(wanted) -> None:
    assert resolve_port(["slots.4", "lpc.com1"], wanted, None) == "lpc.com1"


def test_no_name_means_the_console() -> None:
    assert resolve_port(["a", "b"], None, "b") == "b"


def test_an_unknown_port_names_those_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        resolve_port(["slots.4", "lpc.com1"], "com2", None)

    assert caught.value.help == "its ports: slots.4, lpc.com1"


def test_the_console_is_the_port_that_gets_ready(graph) -> None:
    ready = Ready("com2", "x")

    assert console_of(graph("lpc.com1", "lpc.com2", ready=ready)) == "lpc.com2"
    assert console_of(graph("slots.4", "lpc.com1")) == "lpc.com1"
