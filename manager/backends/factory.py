# SPDX-License-Identifier: BSD-2-Clause
"""From a backend's description in the graph to the backend."""

from __future__ import annotations

from pathlib import Path

from manager.backends.backend import Backend
from manager.backends.connecting import ConnectingBackend
from manager.backends.file import FileBackend
from manager.backends.listening import ListeningBackend
from manager.backends.null import NullBackend
from manager.backends.pipe import PipeBackend
from manager.backends.pty import PtyBackend
from manager.backends.stdio import StdioBackend
from manager.backends.tcp import TcpAddress
from manager.backends.unix import UnixAddress
from manager.devices import host


def make(backend: host.Backend, pty_link: Path | None = None) -> Backend:
    """The backend that the machine file asks for, opened but not attached yet.

    A pty without a `path` of its own gets its symbolic link at `pty_link`.

    Raises HostError for what the host refuses.
    """
    match backend:
        case host.Stdio():
            return StdioBackend()
        case host.Pty(path):
            return PtyBackend(path if path is not None else pty_link)
        case host.File(path):
            return FileBackend(path)
        case host.Tcp(listen=str() as address):
            return ListeningBackend(TcpAddress.parse(address))
        case host.Tcp(connect=str() as address):
            return ConnectingBackend(TcpAddress.parse(address))
        case host.Unix(listen=Path() as address):
            return ListeningBackend(UnixAddress.parse(str(address)))
        case host.Unix(connect=Path() as address):
            return ConnectingBackend(UnixAddress.parse(str(address)))
        case host.Pipe(path):
            return PipeBackend(path)
    return NullBackend()
