# SPDX-License-Identifier: BSD-2-Clause
"""Slow, greedy and broken neighbours of a machine: each is its own problem alone."""

from __future__ import annotations

import base64
import json
import os
import selectors
import socket
from pathlib import Path

import pytest

from manager.errors import HostError, WrongStateError
from manager.vmm import server as server_module
from manager.vmm.attachments import Attachments
from manager.vmm.background import Reporter
from manager.vmm.connections import INPUT_LIMIT, PENDING_LIMIT, SerialConnection, SerialConnections
from manager.vmm.events import Events
from manager.vmm.loop import EventLoop
from manager.vmm.outcome import Outcome
from manager.vmm.running import RunningMachine
from manager.vmm.server import ClientSession, ControlServer


class Line:
    """A session whose client end is in the test's hands."""

    def __init__(self, selector: selectors.BaseSelector, path: Path) -> None:
        self.selector = selector
        self.server = ControlServer(path, "demo", selector, lambda session, request: {})
        self.client = socket.socket(socket.AF_UNIX)
        self.client.connect(str(path))
        self.turn()
        (self.session,) = self.server._sessions

    def turn(self) -> None:
        for key, events in self.selector.select(0):
            key.data(events)

    def read_all(self) -> list[dict]:
        """Every message until nothing more comes."""
        data = b""
        self.client.setblocking(False)
        for _ in range(10_000):
            self.turn()
            try:
                data += self.client.recv(1 << 20)
            except BlockingIOError:
                break
        return [json.loads(line) for line in data.splitlines()]

    def close(self) -> None:
        self.client.close()
        self.server.close()


@pytest.fixture
def connections(fake, graph) -> SerialConnections:
    return SerialConnections(fake(graph("lpc.com1")).ports, "lpc.com1")


@pytest.fixture
def connection(connections) -> SerialConnection:
    return connections.find(None)


@pytest.fixture
def line(tmp_path: Path):
    with selectors.DefaultSelector() as selector:
        made = Line(selector, tmp_path / "s")
        yield made
        made.close()


@pytest.fixture
def attachments(connections: SerialConnections) -> Attachments:
    return Attachments(connections, Events(lambda: 0))


def say(connection: SerialConnection, data: bytes) -> None:
    for byte in data:
        connection.port.transmit(byte)
    connection.take_output()


def test_a_slow_client_misses_output_and_is_told_how_much(
    connection, line, attachments, monkeypatch
) -> None:
    monkeypatch.setattr(server_module, "OUTPUT_LIMIT", 50_000)
    attachments.attach(line.session, None, "read", 0)
    sent = bytes(range(256)) * 4096

    for start in range(0, len(sent), 16384):
        say(connection, sent[start : start + 16384])
    (told,) = attachments.describe()
    messages = line.read_all()

    data = [m["data"] for m in messages if m.get("event") == "output"]
    heard = b"".join(base64.b64decode(item["base64"]) for item in data)
    skipped = sum(m["data"]["bytes"] for m in messages if m.get("event") == "skipped")
    assert 0 < skipped == told["dropped"]
    assert len(heard) + skipped == len(sent)
    assert sent.startswith(heard)


def test_a_client_that_vanishes_is_detached(connection, line, attachments) -> None:
    attachments.attach(line.session, None, "write", 0)

    line.client.close()
    line.turn()

    assert attachments.describe() == []
    assert len(connection.listeners) == 0


def test_no_more_is_accepted_than_the_guest_has_room_for(connection, line, attachments) -> None:
    attachments.attach(line.session, None, "write", 0)

    first = attachments.write(line.session, bytes(PENDING_LIMIT - 10))
    second = attachments.write(line.session, bytes(100))
    third = attachments.write(line.session, b"x")

    accepted = [answer["accepted"] for answer in (first, second, third)]
    assert accepted[0] > 0
    assert accepted[2] == 0
    assert sum(accepted) <= PENDING_LIMIT


def test_one_connection_has_one_port(line, attachments) -> None:
    attachments.attach(line.session, None, "read", 0)

    with pytest.raises(WrongStateError):
        attachments.attach(line.session, None, "read", 0)


def test_send_is_refused_when_the_guest_reads_nothing(fake, graph) -> None:
    machine = fake(graph("lpc.com1"))
    connections = SerialConnections(machine.ports, "lpc.com1")
    running = RunningMachine(machine, connections)

    with pytest.raises(HostError, match="has not read"):
        running.feed(None, bytes(INPUT_LIMIT + 1))


class Broken:
    """A backend whose host takes everything away."""

    backlog = 0
    dropped = 0

    def attach(self, selector, receive) -> None:
        pass

    def write(self, data: bytes) -> None:
        raise OSError(5, "Input/output error")

    hold = write

    def poll(self) -> None:
        raise OSError(5, "Input/output error")

    def describe(self) -> str:
        return "tape"

    def close(self) -> None:
        raise OSError(5, "Input/output error")


def test_a_backend_that_fails_is_given_up_and_the_guest_goes_on(fake, graph) -> None:
    machine = fake(graph("lpc.com1"))
    connections = SerialConnections(machine.ports, "lpc.com1")
    selector = selectors.DefaultSelector()
    connections.connect("lpc.com1", Broken(), selector)
    loop = EventLoop(RunningMachine(machine, connections), selector, paced=False)
    machine.console.feed(b"off\n")

    assert loop.run() == Outcome("ended", 0, "the guest powered off", "power-off")

    described = connections.find(None).describe()
    assert described["backend"] == "tape, failed: [Errno 5] Input/output error"
    connections.close()


def test_a_descriptor_that_fails_does_not_end_the_machine(fake, graph) -> None:
    machine = fake(graph("lpc.com1"))
    connections = SerialConnections(machine.ports, "lpc.com1")
    selector = selectors.DefaultSelector()
    said: list[str] = []
    running = RunningMachine(machine, connections)
    loop = EventLoop(running, selector, paced=False, say=said.append)

    def fails(_events: int) -> None:
        machine.console.feed(b"off\n")
        raise OSError(5, "Input/output error")

    reader, writer = os.pipe()
    os.write(writer, b"x")
    selector.register(reader, selectors.EVENT_READ, fails)

    assert loop.run().kind == "ended"

    assert said == ["a connection failed: [Errno 5] Input/output error"]
    for descriptor in (reader, writer):
        os.close(descriptor)


def test_a_starting_command_that_does_not_read_blocks_nothing() -> None:
    reader, writer = os.pipe()
    reporter = Reporter(writer)

    for _ in range(1000):
        reporter.output(bytes(1000))

    os.close(reader)
    reporter.report({"up": {}})
    reporter.close()


def test_a_removed_state_directory_does_not_make_a_second_owner(tmp_path: Path) -> None:
    with selectors.DefaultSelector() as selector:
        first = ControlServer(tmp_path / "s", "demo", selector, lambda session, request: {})

        with pytest.raises(HostError, match=f"process {os.getpid()} still runs this machine"):
            ControlServer(tmp_path / "s", "demo", selector, lambda session, request: {})

        first.close()


def test_sessions_know_their_clients_process(line: Line) -> None:
    assert isinstance(line.session, ClientSession)
    assert line.session.pid == os.getpid()
