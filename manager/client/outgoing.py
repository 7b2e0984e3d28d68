# SPDX-License-Identifier: BSD-2-Clause
"""What is on its way from a console to the guest: keys, and files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from manager import files
from manager.lazy import dataclass

CHUNK = 16384
"""Bytes of input in one request."""
RETRY = 0.02
"""Seconds until input that the guest had no room for is offered again."""
QUEUE_LIMIT = 64 * 1024
"""Bytes typed ahead before the terminal is no longer read."""


@dataclass(slots=True)
class _File:
    """A file on its way to the guest."""

    content: IO[bytes]
    name: str
    sent: int = 0


class Outgoing:
    """Goes out as the guest has room, one request at a time.

    `request` sends one and tells whether an answer will come; `say` is for messages.
    """

    def __init__(self, request: Callable[[bytes], bool], say: Callable[[str], None]) -> None:
        self._request = request
        self._say = say
        self._held = bytearray()
        """Typed, and not accepted yet."""
        self._under_way = False
        self._retry_at: float | None = None
        self._file: _File | None = None

    @property
    def is_full(self) -> bool:
        """Whether no more is to be typed for now."""
        return len(self._held) >= QUEUE_LIMIT

    @property
    def is_empty(self) -> bool:
        """Whether the guest's port has taken all that was typed, and all of a file."""
        return not (self._held or self._under_way or self._file is not None)

    def wait(self) -> float | None:
        """Seconds until there is something to offer again; None: not by the clock."""
        return None if self._retry_at is None else max(0.0, self._retry_at - time.monotonic())

    def type(self, data: bytes) -> None:
        """Add keys."""
        self._held += data

    def send_file(self, name: str) -> None:
        """Send a file after what was typed."""
        try:
            file = os.fdopen(files.open_regular(Path(name).expanduser()), "rb")
            self._file = _File(file, name)
        except OSError as error:
            self._say(f"{name}: cannot read: {error.strerror}")
        except RuntimeError:
            self._say(f"{name}: there is no such user")

    def offer(self) -> None:
        """Send the next piece, if there is one and it is time."""
        if self._under_way or self.wait():
            return
        self._retry_at = None
        if not self._held and self._file is not None:
            self._read(self._file)
        if self._held:
            self._under_way = self._request(bytes(self._held[:CHUNK]))

    def accepted(self, count: int) -> None:
        """The guest's port took `count` bytes of the piece."""
        self._under_way = False
        del self._held[:count]
        if count == 0:
            self._retry_at = time.monotonic() + RETRY

    def refused(self) -> None:
        """It is not to be: drop what was typed."""
        self._under_way = False
        self._held.clear()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.content.close()

    def _read(self, file: _File) -> None:
        try:
            data = file.content.read(CHUNK)
        except OSError as error:
            self._say(f"{file.name}: cannot read: {error.strerror}")
            data = b""
        file.sent += len(data)
        self._held += data
        if not data:
            file.content.close()
            self._file = None
            self._say(f"{file.name}: {file.sent} bytes sent")
