# SPDX-License-Identifier: BSD-2-Clause
"""Where gdb connects to a machine that this process owns; one gdb at a time."""

from __future__ import annotations

import selectors
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from manager.backends.address import CLIENT_LIMIT, PATIENCE, Address
from manager.backends.link import READ_SIZE
from manager.backends.outbox import Outbox
from manager.backends.tcp import TcpAddress
from manager.backends.unix import UnixAddress
from manager.backends.watch import READ, WRITE, Watch
from manager.debug.session import GdbSession

if TYPE_CHECKING:
    from manager.graph.nodes import Gdb
    from manager.vmm.running import RunningMachine


class GdbListener:
    """Listens in the event loop's selector. Raises HostError when the address cannot be used."""

    def __init__(
        self, wanted: Gdb, running: RunningMachine, selector: selectors.BaseSelector
    ) -> None:
        self._running = running
        self._selector = selector
        self._address: Address = (
            UnixAddress(Path(wanted.listen)) if wanted.is_path else TcpAddress.parse(wanted.listen)
        )
        self._listener = self._address.listener()
        self.where = self._address.bound(self._listener)
        """For people and for gdb's `target remote`."""
        self._doorbell = Watch(selector, self._listener.fileno(), self._accept)
        self._doorbell.want(READ)
        self._client: socket.socket | None = None
        self._watch: Watch | None = None
        self._outbox = Outbox(CLIENT_LIMIT, noted=False)
        self._session: GdbSession | None = None
        if wanted.wait:
            running.hold(True)

    def close(self, status: int) -> None:
        """Tell gdb how the machine ended, and stop listening."""
        if self._session is not None and self._client is not None:
            self._session.ended(status)
            self._outbox.drain(self._client.fileno(), PATIENCE)
        self._hang_up()
        self._doorbell.want(0)
        self._listener.close()
        self._address.release()

    def _accept(self, _: int) -> None:
        with suppress(BlockingIOError):
            client, _address = self._listener.accept()
            if self._client is not None:
                client.close()
                return
            client.setblocking(False)
            with suppress(OSError):
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._client = client
            self._outbox = Outbox(CLIENT_LIMIT, noted=False)
            self._watch = Watch(self._selector, client.fileno(), self._ready)
            self._watch.want(READ)
            self._session = GdbSession(self._running, self._send)
            self._running.events.publish("debugger-attached")

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._send(b"")
        if events & READ and self._client is not None:
            try:
                data = self._client.recv(READ_SIZE)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if data and self._session is not None:
                self._session.receive(data)
            elif not data:
                self._gone()

    def _send(self, data: bytes) -> None:
        if self._client is None or self._watch is None:
            return
        self._outbox.put(data)
        try:
            self._outbox.flush(self._client.fileno())
        except OSError:
            self._gone()
            return
        self._watch.want(READ | (WRITE if self._outbox else 0))

    def _gone(self) -> None:
        if self._session is not None:
            self._session.detach()
            self._running.events.publish("debugger-detached")
        self._hang_up()

    def _hang_up(self) -> None:
        if self._watch is not None:
            self._watch.want(0)
        if self._client is not None:
            self._client.close()
        self._client = self._watch = self._session = None
