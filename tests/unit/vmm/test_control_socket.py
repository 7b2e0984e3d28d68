# SPDX-License-Identifier: BSD-2-Clause
"""The control socket under good and bad clients."""

from __future__ import annotations

import io
import json
import selectors
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from manager.client.client import Client
from manager.client.protocol import LINE_LIMIT
from manager.errors import HostError, UsageError, WrongStateError
from manager.vmm import server as server_module
from manager.vmm.connections import SerialConnections
from manager.vmm.loop import EventLoop
from manager.vmm.outcome import Outcome
from manager.vmm.running import RunningMachine
from manager.vmm.serving import serve_clients


class Running:
    """A machine that a thread of this process owns."""

    def __init__(self, machine, path) -> None:
        self.path = path
        self.machine = machine
        connections = SerialConnections(machine.ports, next(iter(machine.ports)))
        self.running = RunningMachine(machine, connections)
        self.stack = ExitStack()
        selector = self.stack.enter_context(selectors.DefaultSelector())
        serve_clients(self.running, path, selector, self.stack)
        self.loop = EventLoop(self.running, selector, paced=True)
        self.heard = bytearray()
        connections.by_id["lpc.com1"].listeners.add(self.heard.extend)
        self.outcome: Outcome | None = None
        self.connections: list[socket.socket] = []
        self.thread = threading.Thread(target=self._own)
        self.thread.start()

    def _own(self) -> None:
        with self.stack:
            self.outcome = self.loop.run()

    def connect(self) -> Client:
        return Client.connect(self.path, 5.0)

    def raw(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.connections.append(connection)
        connection.settimeout(5.0)
        connection.connect(str(self.path))
        assert b"protocol" in connection.recv(4096)
        return connection

    def end(self) -> None:
        for connection in self.connections:
            connection.close()
        if self.thread.is_alive():
            with self.connect() as client:
                client.execute("down")
        self.thread.join(5)
        assert not self.thread.is_alive()


@pytest.fixture
def running(fake, graph, tmp_path) -> Iterator[Running]:
    started = Running(fake(graph("lpc.com1", "slots.4")), tmp_path / "s")
    yield started
    started.end()


def ask(connection: socket.socket, line: bytes) -> dict:
    connection.sendall(line + b"\n")
    with connection.makefile("rb") as lines:
        return json.loads(lines.readline())


def test_the_greeting_tells_versions_and_the_name(running) -> None:
    with running.connect() as client:
        assert client.greeting["machine"] == "demo"
        assert client.greeting["protocol"] == 1


def test_the_socket_is_for_its_owner_only(running) -> None:
    assert stat.S_IMODE(running.path.stat().st_mode) == 0o600


def test_status_tells_time_and_ports(running) -> None:
    with running.connect() as client:
        status = client.execute("query-status")

    assert status["state"] == "running"
    assert status["virtual-time"] >= 0
    assert [port["id"] for port in status["ports"]] == ["lpc.com1", "slots.4"]


def test_the_schema_lists_commands_and_arguments(running) -> None:
    with running.connect() as client:
        commands = client.execute("query-schema")["commands"]

    assert commands["send"]["arguments"]["text"]["required"] is True


def test_sent_text_reaches_the_guest_even_when_it_is_idle(running) -> None:
    with running.connect() as client:
        assert client.execute("send", text="hi\n") == {"port": "lpc.com1", "bytes": 3}
        while b"got hi" not in running.heard:
            client.execute("query-status")


def test_bytes_that_are_no_utf8_can_be_sent(running) -> None:
    with running.connect() as client:
        text = b"\xff\n".decode("utf-8", "surrogateescape")

        assert client.execute("send", text=text)["bytes"] == 2


@pytest.mark.parametrize(
    "arguments",
    [{}, {"text": 3}, {"text": "x", "port": "com9"}, {"text": "x", "prot": "com1"}, {"text": True}],
)
def test_wrong_arguments_are_usage_errors(running, arguments) -> None:
    with running.connect() as client:
        with pytest.raises(UsageError):
            client.execute("send", **arguments)
        assert client.execute("query-status")["state"] == "running"


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"3",
        b"\xff\xfe",
        b'{"execute": 3}',
        b'{"id": 1}',
        b'{"execute": "down", "arguments": []}',
        b'{"execute": "down", "extra": 1}',
        b"[" * 100_000,
    ],
)
def test_a_malformed_line_is_answered_and_forgotten(running, line) -> None:
    connection = running.raw()

    answer = ask(connection, line)

    assert answer["error"]["code"] == "bad-request"
    assert ask(connection, b'{"execute": "query-status", "id": "x"}')["id"] == "x"
    connection.close()


def test_an_unknown_command_is_named(running) -> None:
    connection = running.raw()

    answer = ask(connection, b'{"id": [1], "execute": "format-disk"}')

    assert answer["id"] == [1]
    assert answer["error"]["code"] == "unknown-command"
    connection.close()


@pytest.mark.parametrize("tail", [b"", b"\n"])
def test_a_huge_line_ends_that_connection_only(running, tail) -> None:
    connection = running.raw()
    with connection.makefile("rb") as lines:
        connection.sendall(b"x" * (LINE_LIMIT + 1) + tail)

        assert json.loads(lines.readline())["error"]["code"] == "bad-request"
        assert hung_up(lines)
    with running.connect() as client:
        assert client.execute("query-status")["state"] == "running"


def hung_up(lines: io.BufferedReader) -> bool:
    try:
        return lines.readline() == b""
    except ConnectionError:
        return True


def test_a_client_that_reads_no_answers_is_dropped(running, monkeypatch) -> None:
    monkeypatch.setattr(server_module, "BACKLOG_LIMIT", 10_000)
    connection = running.raw()

    with pytest.raises(ConnectionError):
        connection.sendall(b'{"execute": "query-schema"}\n' * 100_000)

    with running.connect() as client:
        assert client.execute("query-status")["state"] == "running"


def test_a_client_that_vanishes_in_the_middle_of_a_line_harms_no_other(running) -> None:
    connection = running.raw()
    connection.sendall(b'{"execute": "do')
    connection.close()

    with running.connect() as client:
        assert client.execute("query-status")["state"] == "running"


def test_one_connection_too_many_is_turned_away(running, monkeypatch) -> None:
    monkeypatch.setattr(server_module, "CLIENT_LIMIT", 1)
    with running.connect(), pytest.raises(HostError):
        running.connect()


def test_a_fault_in_a_command_is_an_answer(running, monkeypatch) -> None:
    monkeypatch.setattr("manager.vmm.commands.status_of", lambda machine: 1 // 0)
    with running.connect() as client:
        with pytest.raises(Exception, match="ZeroDivisionError"):
            client.execute("query-status")
        assert client.execute("query-schema")["protocol"] == 1


def test_paused_time_stands_still_until_continued(running) -> None:
    with running.connect() as client:
        client.execute("pause")
        before = client.execute("query-status")
        client.execute("send", text="hi\n")
        after = client.execute("query-status")
        client.execute("continue")
        while b"got hi" not in running.heard:
            client.execute("query-status")

    assert before["state"] == "paused"
    assert after["virtual-time"] == before["virtual-time"]


def test_a_machine_without_state_cannot_be_suspended(running) -> None:
    with running.connect() as client, pytest.raises(WrongStateError, match="keeps no state"):
        client.execute("suspend")


def test_down_is_answered_before_the_end_and_removes_the_socket(running) -> None:
    with running.connect() as client:
        assert client.execute("down") == {}
    running.thread.join(5)

    assert running.outcome == Outcome("down")
    assert not running.path.exists()
