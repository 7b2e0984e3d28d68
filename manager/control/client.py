# SPDX-License-Identifier: BSD-2-Clause
"""A client of one machine's control socket."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Any

from manager.control.protocol import PROTOCOL_VERSION, encode, error_from
from manager.errors import HostError

_ANSWER_LIMIT = 16 * 1024 * 1024


class Client:
    """One connection; calls are answered in order.

    >>> with Client.connect(path) as client:  # doctest: +SKIP
    ...     client.execute("query-status")["virtual-time"]
    """

    def __init__(self, connection: socket.socket, where: str) -> None:
        self._connection = connection
        self._where = where
        self._received = bytearray()
        self._last_id = 0
        self.greeting: dict[str, Any] = {}

    @classmethod
    def connect(cls, path: Path, timeout: float | None = 30.0) -> Client:
        """Connect and read the greeting; `timeout` (seconds) bounds every wait.

        Raises HostError when nobody answers there, or speaks another version of the protocol.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        client = cls(connection, os.fspath(path))
        try:
            connection.connect(client._where)
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

    def execute(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Have the owner carry out a command; underscores in names of arguments become dashes.

        Raises the VmmgrError that the owner answered, or HostError when the connection breaks.
        """
        self._last_id += 1
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        request = {"id": self._last_id, "execute": command, "arguments": named}
        try:
            self._connection.sendall(encode(request))
            answer = self._line()
            while answer.get("id") != self._last_id:
                answer = self._line()
        except OSError as error:
            raise HostError(f"{self._where}: {command}: {error}") from None
        if (error_ := answer.get("error")) is not None:
            raise error_from(error_.get("code"), error_.get("message"), error_.get("help"))
        result: dict[str, Any] = answer.get("return", {})
        return result

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

    def _line(self) -> dict[str, Any]:
        while (end := self._received.find(b"\n")) < 0:
            data = self._connection.recv(65536)
            if not data or len(self._received) > _ANSWER_LIMIT:
                raise HostError(f"{self._where}: the machine's process hung up")
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
