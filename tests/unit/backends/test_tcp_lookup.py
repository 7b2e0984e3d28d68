# SPDX-License-Identifier: BSD-2-Clause
"""A name server that does not answer blocks nothing."""

from __future__ import annotations

import socket
import threading

import pytest

from manager.backends.tcp import TcpAddress


def test_a_slow_name_server_does_not_block(monkeypatch) -> None:
    answer, answered = threading.Event(), []

    def slow(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        answered.append(answer.wait(60))
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    address = TcpAddress("slow.example", 1)

    with pytest.raises(BlockingIOError):
        address.dial()
    with pytest.raises(BlockingIOError):
        address.dial()

    assert answered == []
    answer.set()


def test_a_name_that_was_found_is_dialled() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        dialling = TcpAddress("localhost", server.getsockname()[1]).dial()

        server.settimeout(3)
        visitor, _ = server.accept()
    visitor.close()
    dialling.close()


def test_numbers_are_not_looked_up(monkeypatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("looked up"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        TcpAddress("127.0.0.1", server.getsockname()[1]).dial().close()
