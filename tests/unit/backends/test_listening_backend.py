# SPDX-License-Identifier: BSD-2-Clause
"""A port that waits for clients on a TCP or UNIX socket."""

from __future__ import annotations

import socket
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from manager.backends.listening import BUSY, ListeningBackend
from manager.backends.scrollback import SIZE
from manager.backends.tcp import TcpAddress
from manager.backends.unix import UnixAddress
from manager.errors import HostError


@pytest.fixture(params=["tcp", "unix"])
def backend(request, owner, tmp_path: Path):
    address = (
        TcpAddress("127.0.0.1", 0) if request.param == "tcp" else UnixAddress(tmp_path / "socket")
    )
    backend = ListeningBackend(address)
    owner.adopt(backend)
    return backend


def client_of(backend: ListeningBackend) -> socket.socket:
    kind, where = backend.describe().split()
    if kind == "tcp":
        host, port = where.split(":")
        client = socket.create_connection((host, int(port)))
    else:
        client = socket.socket(socket.AF_UNIX)
        client.connect(where)
    client.settimeout(3)
    return client


def read_exactly(client: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        more = client.recv(65536)
        assert more, "the connection ended early"
        data += more
    return bytes(data)


def test_client_and_guest_talk(owner, backend):
    with client_of(backend) as client:
        client.sendall(b"to guest")
        owner.until(lambda: owner.received == b"to guest")
        backend.write(b"to client")

        assert client.recv(100) == b"to client"


def test_late_client_gets_the_last_output_first(owner, backend):
    backend.write(b"old" + b"x" * SIZE)
    with client_of(backend) as client:
        owner.settle()
        backend.write(b"new")

        assert read_exactly(client, SIZE + 3) == b"x" * SIZE + b"new"


def test_second_client_is_told_that_the_port_is_taken(owner, backend):
    with client_of(backend) as first, client_of(backend) as second:
        owner.settle()
        assert read_exactly(second, len(BUSY)) == BUSY
        assert second.recv(1) == b""

        backend.write(b"yours")
        assert first.recv(100) == b"yours"


def test_next_client_is_served_after_the_first_has_left(owner, backend):
    client_of(backend).close()
    owner.settle()
    with client_of(backend) as client:
        owner.settle()
        client.sendall(b"hi")

        owner.until(lambda: owner.received == b"hi")


def test_client_that_only_listens_keeps_getting_output(owner, backend):
    with client_of(backend) as client:
        client.sendall(b"q")
        client.shutdown(socket.SHUT_WR)
        owner.until(lambda: owner.received == b"q")
        owner.settle()

        backend.write(b"answer")

        assert client.recv(100) == b"answer"


def test_slow_client_gets_everything_in_order(owner, backend):
    sent = bytes(range(256)) * 3000
    with client_of(backend) as client:
        client.setblocking(False)
        owner.settle()
        backend.write(sent)
        read = bytearray()

        def client_has_it_all() -> bool:
            with suppress(BlockingIOError):
                read.extend(client.recv(65536))
            return len(read) >= len(sent)

        while not client_has_it_all():
            owner.settle()

    assert read == sent


def test_client_that_never_reads_costs_a_bounded_backlog(owner, backend):
    with client_of(backend):
        owner.settle()
        for _ in range(150):
            backend.write(bytes(65536))

        assert 0 < backend.backlog <= 1 << 20


def test_held_input_stays_in_the_socket_of_a_client_yet_to_come(owner, backend):
    backend.hold(True)
    with client_of(backend) as client:
        client.sendall(b"later")
        owner.settle()
        assert owner.received == b""

        backend.hold(False)
        owner.until(lambda: owner.received == b"later")


def test_client_sees_the_last_output_and_then_the_end(owner, backend):
    with client_of(backend) as client:
        owner.settle()
        backend.write(b"Halted.")
        backend.close()

        assert read_exactly(client, 7) == b"Halted."
        assert client.recv(1) == b""


def test_tcp_port_that_is_taken_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(HostError, match=f"cannot listen on 127.0.0.1:{port}"):
            ListeningBackend(TcpAddress("127.0.0.1", port))


def test_unix_socket_is_for_its_owner_only_and_removed_at_the_end(tmp_path: Path):
    path = tmp_path / "socket"
    backend = ListeningBackend(UnixAddress(path))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    backend.close()
    assert not path.exists()


def test_dead_unix_socket_is_replaced(tmp_path: Path):
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    backend = ListeningBackend(UnixAddress(path))

    client_of(backend).close()
    backend.close()


def test_living_unix_socket_is_left_alone(tmp_path: Path):
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()

        with pytest.raises(HostError, match="in use"):
            ListeningBackend(UnixAddress(path))

    assert path.is_socket()


def test_file_in_the_place_of_a_unix_socket_is_left_alone(tmp_path: Path):
    path = tmp_path / "socket"
    path.write_text("precious")

    with pytest.raises(HostError, match="not a socket"):
        ListeningBackend(UnixAddress(path))

    assert path.read_text() == "precious"


def test_what_a_client_said_before_it_left_reaches_the_guest(owner, tmp_path):
    backend = ListeningBackend(UnixAddress(tmp_path / "socket"))
    owner.adopt(backend)
    backend.write(b"the last output, which is not read")

    with client_of(backend) as client:
        client.sendall(b"last words")
    owner.until(lambda: owner.received == b"last words")  # it was gone before it was let in

    owner.settle()
    with client_of(backend) as client:  # and the place is free again
        owner.settle()
        assert client.recv(100) == b"the last output, which is not read"
