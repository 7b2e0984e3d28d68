# SPDX-License-Identifier: BSD-2-Clause
"""Where a socket backend listens or connects to."""

from __future__ import annotations

import socket
from typing import Protocol


class Address(Protocol):
    """One kind of socket address."""

    @property
    def kind(self) -> str:
        """The backend's type in a machine file: tcp or unix."""

    def listener(self) -> socket.socket:
        """A listening, non-blocking socket. Raises HostError."""

    def dial(self) -> socket.socket:
        """A non-blocking socket that has begun to connect. Raises OSError."""

    def bound(self, listener: socket.socket) -> str:
        """Where `listener` really listens, for people."""

    def release(self) -> None:
        """The listener is closed: remove what it left behind."""


CLIENT_LIMIT = 1 << 20
"""Bytes of output kept for a connected client that is slow."""

PATIENCE = 1.0
"""Seconds that a client gets for the last output when the machine ends."""
