# SPDX-License-Identifier: BSD-2-Clause
"""The serial ports of a running machine: each with its log, ring, backend and listeners."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.backends.failed import FailedBackend
from manager.backends.scrollback import Scrollback
from manager.errors import HostError
from manager.graph.port_names import resolve_port
from manager.machine.listeners import Listeners
from manager.state.port_log import PortLog, tail

if TYPE_CHECKING:
    from manager.backends.backend import Backend
    from manager.machine.serial_port import SerialPort

BACKLOG_LIMIT = 1024 * 1024
"""Bytes that a backend may still have to pass on before the guest is kept from sending more.

Only standard output is held to it, as a pipeline expects. Sockets and ptys drop what their readers
are too slow for, and count it, before they are this far behind.
"""
PENDING_LIMIT = 64 * 1024
"""Bytes that may wait for the guest before a backend is no longer read."""
INPUT_LIMIT = 1024 * 1024
"""Bytes that may wait for the guest before more are refused."""
LINE = 500
"""Bytes of the present line that are shown again after a rewind."""
WHOLE_LOG = 64 << 20
"""Bytes; more than a boot prints."""
REPLAY_OF_LOG = 64 * 1024
"""Bytes of the log that the ring begins with when a machine goes on."""


class SerialConnection:
    """One port and everything on its host's side. `log` is the path of its log, if it has one."""

    def __init__(self, port: SerialPort, log: Path | None) -> None:
        self.port = port
        self.host: Backend | None = None
        self.listeners = Listeners()
        """Who is shown the output, over a rewind too."""
        self.ring = Scrollback()
        """The last output, for consoles that attach later."""
        self.sent = 0
        """Bytes that the guest sent since this process owns the machine."""
        self._in_flight = 0
        self._peer_in_flight = False
        self._on_hold = False
        if log is not None:
            self.ring.add(tail(log, REPLAY_OF_LOG))
        self._log = PortLog(log) if log is not None else None
        port.listeners.add(self._heard, self.listeners.begun)

    @property
    def pending(self) -> int:
        """Bytes of input that the guest has not taken."""
        return self.port.pending + self._in_flight

    @property
    def backlog(self) -> int:
        """Bytes that the backend has not passed on yet."""
        return self.host.backlog if self.host is not None else 0

    def feed(self, data: bytes) -> None:
        """Send `data` to the guest."""
        self._in_flight += len(data)
        self.port.feed(data)

    def offer(self, data: bytes) -> None:
        """Send all of `data` to the guest. Raises HostError when that is too much at once."""
        if self.pending + len(data) > INPUT_LIMIT:
            raise HostError(
                f"{self.port.id}: the guest has not read {self.pending} bytes yet",
                help="send the rest when it has",
            )
        self.feed(data)

    def arrived(self) -> None:
        """Virtual time has passed: what was fed is at the port."""
        self._in_flight = 0
        self._peer_in_flight = False

    def take_output(self) -> None:
        """Pass on what the guest sent."""
        self.port.take_output()

    def _heard(self, data: bytes) -> None:
        self.sent += len(data)
        self.ring.add(data)
        if self._log is not None:
            self._log.write(data)
        self.listeners.heard(data)
        self.with_host(lambda host: host.write(data))

    @property
    def log_fault(self) -> str:
        """Why the log misses output, if it does."""
        return (self._log.fault or "") if self._log is not None else ""

    def so_far(self) -> bytes:
        """What the guest sent since its boot, as far as it was kept."""
        return bytes(self.ring) if self._log is None else tail(self._log.path, WHOLE_LOG)

    def take_over(self, earlier: bytes) -> None:
        """Count, log and keep output that was sent before this process owned the machine."""
        self.sent += len(earlier)
        self.ring.add(earlier)
        if self._log is not None:
            self._log.write(earlier)

    def rewind(self, port: SerialPort, sent: int) -> None:
        """Go on with the port of an earlier machine, which had sent `sent` bytes by then."""
        self.port = port
        port.listeners.add(self._heard, self.listeners.begun)
        self.arrived()
        undone, self.sent = self.sent - sent, sent
        self.ring.drop(undone)
        if self._log is not None:
            self._log.drop(undone)

    def show(self, data: bytes) -> None:
        """Show to listeners what the guest did not send; the log does not get it."""
        self.listeners.begun()
        self.listeners.heard(data)
        self.with_host(lambda host: host.write(data))

    def balance(self) -> None:
        """Read from the host only while the guest takes its input."""
        if self.host is not None and self._on_hold != (self.pending > PENDING_LIMIT):
            self._on_hold = not self._on_hold
            self.with_host(lambda host: host.hold(self._on_hold))

    def look_at_peer(self) -> None:
        """Let the guest hear that a client has come or left, if its device tells of that."""
        device = self.port.peer
        there = self.host.connected if self.host is not None else None
        if device is None or there is None or self._peer_in_flight:
            return
        known = device.has_peer()
        if there != known and (there or known is not None):
            self._peer_in_flight = True
            self.port.tell_peer(there)

    def with_host(self, action: Callable[[Backend], None]) -> None:
        """Have the backend do something. One that fails is unplugged: the guest goes on."""
        if self.host is None:
            return
        try:
            action(self.host)
        except (OSError, HostError) as error:
            self.unplug(str(error))

    def unplug(self, fault: str) -> None:
        """Drop the backend, for a reason that the status shows."""
        assert self.host is not None
        broken, self.host = self.host, FailedBackend(self.host.describe(), fault)
        with suppress(OSError, HostError):  # it is given up already
            broken.close()

    def close(self) -> None:
        """Pass on the rest and end."""
        self.take_output()
        self.with_host(lambda host: host.close())
        if self._log is not None:
            self._log.close()

    def describe(self) -> dict[str, Any]:
        """The port, for a status."""
        return {
            "id": self.port.id,
            "backend": self.host.describe() if self.host is not None else "null",
            "sent": self.sent,
            "pending": self.pending,
            "backlog": self.backlog,
            "dropped": self.host.dropped if self.host is not None else 0,
            "log-fault": self._log.fault if self._log is not None else None,
            "log-lost": self._log.lost if self._log is not None else 0,
        }


class SerialConnections:
    """The connections of all ports of a machine.

    `console` is the id of the port that is meant when none is named; `log` tells the path of a
    port's log.
    """

    def __init__(
        self,
        ports: Mapping[str, SerialPort],
        console: str | None,
        log: Callable[[str], Path | None] = lambda id: None,
    ) -> None:
        self.by_id = {id: SerialConnection(port, log(id)) for id, port in ports.items()}
        self.console = console

    def find(self, port: str | None) -> SerialConnection:
        """The connection of a port, the console's unless named. Raises UsageError."""
        return self.by_id[resolve_port(self.by_id, port, self.console)]

    def pump(self) -> None:
        """Pass on what the guest sent on any port."""
        for connection in self.by_id.values():
            connection.take_output()
            connection.balance()
            connection.look_at_peer()

    def arrived(self) -> None:
        """Told that virtual time has passed."""
        for connection in self.by_id.values():
            connection.arrived()

    def connect(self, port: str, backend: Backend, selector: selectors.BaseSelector) -> None:
        """Plug a backend into a port; what it receives goes to the guest."""
        connection = self.by_id[port]
        connection.host = backend

        def receive(data: bytes) -> None:
            connection.feed(data)
            connection.balance()

        backend.attach(selector, receive)

    def rewind(self, ports: Mapping[str, SerialPort], sent: Mapping[str, int]) -> None:
        """Go on with the ports of an earlier machine; listeners are told and shown the line.

        `sent` is how many bytes each had sent by then.
        """
        for id, connection in self.by_id.items():
            connection.take_output()
            connection.rewind(ports[id], sent[id])
            line = bytes(connection.ring).rpartition(b"\n")[2][-LINE:]
            connection.show(b"\r\n[rewound]\r\n" + line)

    def poll(self) -> None:
        """Let the backends do what is due by the host's time; once a second is enough."""
        for connection in self.by_id.values():
            connection.with_host(lambda host: host.poll())

    def blocked(self) -> str | None:
        """The id of a port whose backend is too far behind, if any."""
        for id, connection in self.by_id.items():
            if connection.backlog > BACKLOG_LIMIT:
                return id
        return None

    def describe(self) -> list[dict[str, Any]]:
        """Each port, for a status."""
        return [
            {**connection.describe(), "console": id == self.console}
            for id, connection in self.by_id.items()
        ]

    def close(self) -> None:
        """Pass on the rest of every port and end."""
        for connection in self.by_id.values():
            connection.close()
