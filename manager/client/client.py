# SPDX-License-Identifier: BSD-2-Clause
"""A client of one machine's control socket."""

from __future__ import annotations

import json
import os
import select
import socket
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from manager.client.peer import require_own_peer, require_own_socket
from manager.client.protocol import PROTOCOL_VERSION, encode, error_from
from manager.errors import HostError

_ANSWER_LIMIT = 16 * 1024 * 1024

Message = dict[str, Any]


class HungUpError(HostError):
    """The machine's process closed the connection, or died."""


class Client:
    """One connection; calls are answered in order, events come in between.

    >>> with Client.connect(path) as client:  # doctest: +SKIP
    ...     client.execute("query-status")["virtual-time"]
    """

    def __init__(self, connection: socket.socket, where: str) -> None:
        self._connection = connection
        self._where = where
        self._received = bytearray()
        self._last_id = 0
        self._events: deque[Message] = deque()
        self.greeting: Message = {}

    @classmethod
    def connect(cls, path: Path, timeout: float | None = 30.0) -> Client:
        """Connect and read the greeting; `timeout` (seconds) bounds every wait.

        Raises UntrustedError when what is there is another user's, HostError when no machine
        answers, or one with another version of the protocol.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        client = cls(connection, os.fspath(path))
        try:
            require_own_socket(path)
            connection.connect(client._where)
            require_own_peer(path, connection)
            greeting = client._line().get("vmmgr")
            if not isinstance(greeting, dict) or greeting.get("protocol") != PROTOCOL_VERSION:
                raise HostError(
                    f"{path}: the machine's process speaks another version of the protocol",
                    help="use the vmmgr that started it",
                )
            client.greeting = greeting
        except OSError as error:
            connection.close()
            raise HostError(f"{path}: cannot connect: {error}") from None
        except HostError:
            connection.close()
            raise
        return client

    def request(self, command: str, **arguments: Any) -> int:
        """Send a command and do not wait; returns the id that its answer will have.

        Underscores in names of arguments become dashes. Raises HostError.
        """
        self._last_id += 1
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        try:
            self._connection.sendall(
                encode({"id": self._last_id, "execute": command, "arguments": named})
            )
        except OSError as error:
            raise HungUpError(f"{self._where}: {command}: {error}") from None
        return self._last_id

    def execute(self, command: str, **arguments: Any) -> Message:
        """Have the owner carry out a command; events that come meanwhile are kept.

        Raises the VmmgrError that the owner answered, or HostError when the connection breaks.
        """
        id = self.request(command, **arguments)
        try:
            answer = self._line()
            while answer.get("id") != id:
                if "event" in answer:
                    self._events.append(answer)
                answer = self._line()
        except OSError as error:
            raise HungUpError(f"{self._where}: {command}: {error}") from None
        return result_of(answer)

    def next_message(self, timeout: float | None = None) -> Message | None:
        """The next event or answer; None when `timeout` seconds bring none.

        Raises HungUpError when there will be no more.
        """
        if self._events:
            return self._events.popleft()
        if b"\n" not in self._received and not self._readable(timeout):
            return None
        return self._line()

    def ready_messages(self) -> Iterator[Message]:
        """What can be had after the connection became readable; then may raise HungUpError."""
        while (message := self.next_message(0)) is not None:
            yield message

    def fileno(self) -> int:
        """The connection's descriptor, to be watched."""
        return self._connection.fileno()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _readable(self, timeout: float | None) -> bool:
        poller = select.poll()
        poller.register(self._connection, select.POLLIN)
        return bool(poller.poll(None if timeout is None else timeout * 1000))

    def _line(self) -> Message:
        searched = 0
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            try:
                data = self._connection.recv(65536)
            except ConnectionError:
                data = b""
            if not data or len(self._received) > _ANSWER_LIMIT:
                raise HungUpError(f"{self._where}: the machine's process closed the connection")
            self._received += data
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise HostError(f"{self._where}: the answer is not of the control protocol")
        return message


def result_of(answer: Message) -> Message:
    """What an answer returns. Raises the VmmgrError that it tells of."""
    if (error := answer.get("error")) is not None:
        raise error_from(error.get("code"), error.get("message"), error.get("help"))
    result: Message = answer.get("return", {})
    return result
