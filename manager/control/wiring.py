# SPDX-License-Identifier: BSD-2-Clause
"""The ports of a running machine: each with its log, its backend and who listens."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.errors import HostError, UsageError

if TYPE_CHECKING:
    from manager.backends.backend import Backend
    from manager.graph.nodes import Graph
    from manager.machine.serial_port import SerialPort

BACKLOG_LIMIT = 1024 * 1024
"""Bytes that a backend may still have to pass on before the guest is kept from sending more."""
PENDING_LIMIT = 64 * 1024
"""Bytes that may wait for the guest before a backend is no longer read."""


class Wire:
    """One port and everything on its host's side."""

    def __init__(self, port: SerialPort, log: Path | None) -> None:
        self.port = port
        self.host: Backend | None = None
        self.listeners: list[Callable[[bytes], None]] = []
        self.log_fault: str | None = None
        """Why the log misses output, if it does."""
        self._on_hold = False
        try:
            self._log = log.open("ab", buffering=0) if log is not None else None
        except OSError as error:
            raise HostError(f"{log}: cannot open the log: {error.strerror}") from None

    @property
    def backlog(self) -> int:
        """Bytes that the backend has not passed on yet."""
        return self.host.backlog if self.host is not None else 0

    def pump(self) -> None:
        """Pass on what the guest sent."""
        if data := self.port.take_output():
            self._keep(data)
            for listener in tuple(self.listeners):
                listener(data)
            if self.host is not None:
                self.host.write(data)

    def _keep(self, data: bytes) -> None:
        if self._log is None:
            return
        try:
            self._log.write(data)
        except OSError as error:
            # A full disk must not stop the machine; the status tells of it.
            self.log_fault = error.strerror
        else:
            self.log_fault = None

    def balance(self) -> None:
        """Read from the host only while the guest takes its input."""
        if self.host is not None and self._on_hold != (self.port.pending > PENDING_LIMIT):
            self._on_hold = not self._on_hold
            self.host.hold(self._on_hold)

    def close(self) -> None:
        """Pass on the rest and end."""
        self.pump()
        if self.host is not None:
            self.host.close()
        if self._log is not None:
            self._log.close()


class Wiring:
    """All ports of a machine by device id. `console` is the one meant when none is named."""

    def __init__(self, wires: Mapping[str, Wire], console: str | None) -> None:
        self.wires = wires
        self.console = console

    def wire(self, port: str | None) -> Wire:
        """The wire of a port, the console's unless named. Raises UsageError."""
        return self.wires[resolve_port(self.wires, port, self.console)]

    def feed(self, port: str | None, data: bytes) -> str:
        """Send `data` to the guest through a port; returns the port's id."""
        wire = self.wire(port)
        wire.port.feed(data)
        return wire.port.id

    def pump(self) -> None:
        """Pass on what the guest sent on any port."""
        for wire in self.wires.values():
            wire.pump()
            wire.balance()

    def connect(self, port: str, backend: Backend, selector: selectors.BaseSelector) -> None:
        """Plug a backend into a port; what it receives goes to the guest."""
        wire = self.wires[port]
        wire.host = backend

        def receive(data: bytes) -> None:
            self.feed(port, data)
            wire.balance()

        backend.attach(selector, receive)

    def poll(self) -> None:
        """Let the backends do what is due by the host's time; once a second is enough."""
        for wire in self.wires.values():
            if wire.host is not None:
                wire.host.poll()

    def blocked(self) -> str | None:
        """The id of a port whose backend is too far behind, if any."""
        for id, wire in self.wires.items():
            if wire.backlog > BACKLOG_LIMIT:
                return id
        return None

    def describe(self) -> list[dict[str, Any]]:
        """Each port, for a status."""
        return [
            {
                "id": id,
                "backend": wire.host.describe() if wire.host is not None else "null",
                "console": id == self.console,
                "pending": wire.port.pending,
                "backlog": wire.backlog,
                "log-fault": wire.log_fault,
            }
            for id, wire in self.wires.items()
        ]

    def close(self) -> None:
        """Pass on the rest of every port and end."""
        for wire in self.wires.values():
            wire.close()


def resolve_port(ids: Iterable[str], wanted: str | None, console: str | None) -> str:
    """The id of the port that `wanted` (com1, lpc.com1, 4, slots.4) means. Raises UsageError."""
    known = list(ids)
    if wanted is None:
        if console is None:
            raise UsageError("the machine has no serial port")
        return console
    for candidate in (wanted, f"lpc.{wanted}", f"slots.{wanted}"):
        if candidate in known:
            return candidate
    raise UsageError(
        f"the machine has no port {wanted!r}",
        help=f"its ports: {', '.join(known)}" if known else "it has no serial ports",
    )


def console_of(graph: Graph) -> str | None:
    """The port meant when none is named: on stdio, else the one to get ready, else the first."""
    ports = graph.serial_ports()
    ids = [node.id for node in ports]
    on_stdio = [node.id for node in ports if node.backend and node.backend.type == "stdio"]
    if on_stdio:
        return on_stdio[0]
    if graph.ready is not None:
        return resolve_port(ids, graph.ready.port, None)
    return "lpc.com1" if "lpc.com1" in ids else ids[0] if ids else None
