# SPDX-License-Identifier: BSD-2-Clause
"""The machine's end of the control socket. No client can block the machine or harm it."""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.client.peer import peer_of, require_own_peer
from manager.client.protocol import (
    LINE_LIMIT,
    PROTOCOL_VERSION,
    BadRequestError,
    Request,
    UnknownCommandError,
    code_of,
    encode,
    failure,
    parse_request,
    success,
)
from manager.errors import HostError, VmmgrError
from manager.version import __version__
from manager.vmm.events import Events

CLIENT_LIMIT = 32
"""Connections at a time; one more is turned away."""
BACKLOG_LIMIT = 4 * 1024 * 1024
"""Bytes of answers that a client may leave unread before it is dropped."""
OUTPUT_LIMIT = 1024 * 1024
"""Bytes that may wait for a client before output and events are dropped for it, and counted."""
PROBE = 1.0
"""Seconds that a process gets to accept a connection before its socket counts as dead."""
FAREWELL = 1.0
"""Seconds for which the last answers are still sent when the owner ends."""

if TYPE_CHECKING:
    from manager.vmm.copying import Copying

Execute = Callable[["ClientSession", Request], dict[str, Any]]


class ClientSession:
    """One connected client."""

    def __init__(self, server: ControlServer, connection: socket.socket, pid: int) -> None:
        self._server = server
        self.copying: Copying | None = None
        """What it has on its way into a share."""
        self.connection = connection
        self.pid = pid
        """The client's process."""
        self.on_gone: Callable[[], None] | None = None
        """Called once, when the connection has ended."""
        self.on_drained: Callable[[], None] | None = None
        """Called when the client has read everything that was queued."""
        self.picture = b""
        """The picture of the screen that it asked for last, a PNG file, of which it gets parts."""
        self._received = bytearray()
        self._unsent = bytearray()
        self._closing = False
        self._events: Events | None = None

    @property
    def has_unsent(self) -> bool:
        """Whether answers wait for the client to read."""
        return bool(self._unsent)

    def ready(self, events: int) -> None:
        """Read requests, write answers."""
        if events & selectors.EVENT_WRITE:
            self.flush()
            if not self._unsent and self.on_drained is not None:
                self.on_drained()
        if events & selectors.EVENT_READ and not self._closing:
            self._read()

    def send(self, line: bytes) -> None:
        """Queue a line; a client that does not read its answers is dropped."""
        self._unsent += line
        self.flush()
        if len(self._unsent) > BACKLOG_LIMIT:
            self._server.drop(self)

    def offer(self, line: bytes) -> bool:
        """Queue a line unless the client is too slow; whether it was queued."""
        if self._closing or len(self._unsent) + len(line) > OUTPUT_LIMIT:
            return False
        self._unsent += line
        self.flush()
        return True

    def subscribe(self, events: Events) -> None:
        """Hear events until the connection ends."""
        self._events = events
        events.subscribe(self.offer)

    def unsubscribe(self) -> None:
        """Hear no more events."""
        if self._events is not None:
            self._events.unsubscribe(self.offer)
            self._events = None

    def flush(self) -> None:
        """Write as much as the socket takes."""
        try:
            while self._unsent:
                del self._unsent[: self.connection.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._server.drop(self)
            return
        if self._closing and not self._unsent:
            self._server.drop(self)
        else:
            self._server.watch(self)

    def _read(self) -> None:
        try:
            data = self.connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._server.drop(self)
            return
        self._received += data
        while not self._closing and (end := self._received.find(b"\n")) >= 0:
            line = bytes(self._received[:end])
            del self._received[: end + 1]
            if len(line) > LINE_LIMIT:
                break
            if line.strip():
                self.send(self._server.answer(self, line))
        else:
            if len(self._received) <= LINE_LIMIT:
                return
        self._closing = True
        self._received.clear()
        self.send(failure(None, "bad-request", f"a request may have {LINE_LIMIT} bytes"))


class ControlServer:
    """Listens on `path` and has `execute` carry out what clients of the same user ask.

    `execute` returns the answer's content or raises VmmgrError or UnknownCommandError.
    Raises HostError when the socket cannot be made.
    """

    def __init__(
        self, path: Path, machine: str, selector: selectors.BaseSelector, execute: Execute
    ) -> None:
        self.path = path
        self._machine = machine
        self._selector = selector
        self._execute = execute
        self._sessions: set[ClientSession] = set()
        self._listener = _listen(path)
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def answer(self, session: ClientSession, line: bytes) -> bytes:
        """The answer to one line; every error becomes an error answer."""
        try:
            request = parse_request(line)
        except BadRequestError as error:
            return failure(error.id, "bad-request", str(error))
        try:
            return success(request.id, self._execute(session, request))
        except VmmgrError as error:
            return failure(request.id, code_of(error), error.message, error.help)
        except UnknownCommandError:
            return failure(
                request.id,
                "unknown-command",
                f"no command {request.execute!r}",
                "`query-schema` lists the commands",
            )
        except Exception as error:  # a fault of ours in one command must not end the machine
            return failure(request.id, "failure", f"internal error: {error!r}")

    def watch(self, session: ClientSession) -> None:
        """Wait for what the session waits for."""
        if session not in self._sessions:
            return
        events = selectors.EVENT_READ
        if session.has_unsent:
            events |= selectors.EVENT_WRITE
        self._selector.modify(session.connection, events, session.ready)

    def drop(self, session: ClientSession) -> None:
        """End a connection."""
        if session in self._sessions:
            self._sessions.remove(session)
            self._selector.unregister(session.connection)
            session.connection.close()
            session.unsubscribe()
            if session.on_gone is not None:
                session.on_gone()

    def close(self) -> None:
        """Send what answers are left, for a moment at most, and remove the socket."""
        self._selector.unregister(self._listener)
        self._listener.close()
        self.path.unlink(missing_ok=True)
        give_up = time.monotonic() + FAREWELL
        for session in tuple(self._sessions):
            if session.has_unsent and (left := give_up - time.monotonic()) > 0:
                session.connection.settimeout(left)
                session.flush()
            self.drop(session)

    def _accept(self, _events: int) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        peer = peer_of(connection)
        if not peer.is_trusted or len(self._sessions) >= CLIENT_LIMIT:
            connection.close()
            return
        connection.setblocking(False)
        session = ClientSession(self, connection, peer.pid)
        self._sessions.add(session)
        self._selector.register(connection, selectors.EVENT_READ, session.ready)
        greeting = {
            "version": __version__,
            "protocol": PROTOCOL_VERSION,
            "machine": self._machine,
        }
        session.send(encode({"vmmgr": greeting}))


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The caller holds the machine's lock, so a socket that is there should be dead.
        _refuse_living(path)
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(before)
        listener.listen(CLIENT_LIMIT)
        listener.setblocking(False)
    except HostError:
        listener.close()
        raise
    except OSError as error:
        listener.close()
        raise HostError(f"{path}: cannot make the control socket: {error.strerror}") from None
    return listener


def _refuse_living(path: Path) -> None:
    """Raise HostError when a process answers at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE)
        try:
            probe.connect(os.fspath(path))
            require_own_peer(path, probe)
            pid = peer_of(probe).pid
        except OSError:
            return
    raise HostError(
        f"{path}: process {pid} still runs this machine, but its state directory was removed",
        help=f"end it with `kill {pid}`, which powers the machine off",
    )
