# SPDX-License-Identifier: BSD-2-Clause
"""A port that goes to a server, and finds it again."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from manager.backends.connecting import RETRY, ConnectingBackend
from manager.backends.tcp import TcpAddress
from manager.backends.unix import UnixAddress


class Clock:
    """The host's time, by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["tcp", "unix"])
def server(request, tmp_path: Path):
    """A function that starts the server, always at the same address; and that address."""
    if request.param == "unix":
        path = tmp_path / "socket"

        def start() -> socket.socket:
            path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(path))
            listener.listen()
            listener.settimeout(3)
            return listener

        return start, UnixAddress(path)

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    def start_tcp() -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port))
        listener.settimeout(3)
        return listener

    return start_tcp, TcpAddress("127.0.0.1", port)


def accept(listener: socket.socket) -> socket.socket:
    peer, _ = listener.accept()
    peer.settimeout(3)
    return peer


def test_server_and_guest_talk(owner, server, clock):
    start, address = server
    with start() as listener:
        backend = ConnectingBackend(address, clock)
        owner.adopt(backend)
        owner.settle()
        with accept(listener) as peer:
            backend.write(b"to server")
            peer.sendall(b"to guest")
            owner.until(lambda: owner.received == b"to guest")

            assert peer.recv(100) == b"to server"
            assert backend.describe() == f"{address.kind} to {address} (connected)"


def test_output_waits_for_a_server_that_starts_later(owner, server, clock):
    start, address = server
    backend = ConnectingBackend(address, clock)
    owner.adopt(backend)
    owner.settle()
    backend.write(b"early")
    assert backend.describe().endswith("(not connected)")
    with start() as listener:
        clock.now += RETRY
        backend.poll()
        owner.settle()

        with accept(listener) as peer:
            assert peer.recv(100) == b"early"


def test_attempts_are_not_made_faster_than_once_a_second(owner, server, clock):
    start, address = server
    backend = ConnectingBackend(address, clock)
    owner.adopt(backend)
    owner.settle()
    with start():
        clock.now += RETRY / 2
        backend.poll()
        owner.settle()

        assert backend.describe().endswith("(not connected)")


def test_connection_is_made_again_when_the_server_comes_back(owner, server, clock):
    start, address = server
    with start() as listener:
        backend = ConnectingBackend(address, clock)
        owner.adopt(backend)
        owner.settle()
        accept(listener).close()
    owner.settle()
    clock.now += RETRY
    with start() as listener:
        backend.poll()
        owner.settle()

        with accept(listener) as peer:
            backend.write(b"again")
            assert peer.recv(100) == b"again"
