# SPDX-License-Identifier: BSD-2-Clause
"""Consoles: clients that see what a port sends; one of them per port may type."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Literal

from manager.client.protocol import encode
from manager.errors import UsageError, WrongStateError
from manager.vmm.connections import PENDING_LIMIT

if TYPE_CHECKING:
    from manager.vmm.connections import SerialConnection, SerialConnections
    from manager.vmm.events import Events
    from manager.vmm.server import ClientSession

Mode = Literal["read", "write", "take"]
MODES: tuple[Mode, ...] = ("read", "write", "take")
OUTPUT_PIECE = 48 * 1024
"""Bytes of output in one event, so that its line stays short."""


class Attachment:
    """One client on one port."""

    def __init__(self, session: ClientSession, connection: SerialConnection) -> None:
        self.session = session
        self.connection = connection
        self.writes = False
        """Whether what this client types goes to the guest."""
        self.dropped = 0
        """Bytes that the client missed because it was too slow."""
        self._skipped = 0

    def output(self, data: bytes) -> None:
        """Pass on what the port sent, or count it."""
        for start in range(0, len(data), OUTPUT_PIECE):
            part = data[start : start + OUTPUT_PIECE]
            if not self._tell_skipped() or not self._event("output", base64=_ascii(part)):
                self._skipped += len(part)
                self.dropped += len(part)

    def drained(self) -> None:
        """The client has caught up: report how much it missed."""
        self._tell_skipped()

    def _tell_skipped(self) -> bool:
        if self._skipped and self._event("skipped", bytes=self._skipped):
            self._skipped = 0
        return not self._skipped

    def _event(self, event: str, **data: Any) -> bool:
        message = {"event": event, "data": {"port": self.connection.port.id, **data}}
        return self.session.offer(encode(message))


class Attachments:
    """All consoles of a machine."""

    def __init__(self, connections: SerialConnections, events: Events) -> None:
        self._connections = connections
        self._events = events
        self._by_session: dict[ClientSession, Attachment] = {}

    def attach(
        self, session: ClientSession, port: str | None, mode: Mode, replay: int
    ) -> dict[str, Any]:
        """Connect a client to a port; the answer has the last `replay` bytes of its output.

        In mode "write" the client may type if no other does, in mode "take" anyway. Raises
        UsageError when there is no such port, WrongStateError when the client is attached already.
        """
        if session in self._by_session:
            raise WrongStateError("this connection is attached already", help="open another one")
        connection = self._connections.find(port)
        connection.take_output()
        attachment = Attachment(session, connection)
        self._by_session[session] = attachment
        connection.listeners.add(attachment.output)
        session.on_gone = lambda: self._leave(session)
        session.on_drained = attachment.drained
        writer = self._assign(attachment, mode)
        self._events.publish(
            "attached", port=connection.port.id, pid=session.pid, writes=attachment.writes
        )
        return {
            "port": connection.port.id,
            "writes": attachment.writes,
            "writer": writer.session.pid if writer is not None else None,
            "replay": _ascii(bytes(connection.ring)[-replay:] if replay else b""),
            "console": self._connections.console,
        }

    def take(self, session: ClientSession) -> dict[str, Any]:
        """Make a client that is attached the one that types."""
        attachment = self._of(session)
        self._assign(attachment, "take")
        return {"port": attachment.connection.port.id}

    def detach(self, session: ClientSession) -> dict[str, Any]:
        """Disconnect a client from its port."""
        self._leave(session)
        return {}

    def _leave(self, session: ClientSession) -> None:
        attachment = self._by_session.pop(session, None)
        if attachment is not None:
            attachment.connection.listeners.remove(attachment.output)
            session.on_gone = session.on_drained = None
            self._events.publish("detached", port=attachment.connection.port.id, pid=session.pid)

    def write(self, session: ClientSession, data: bytes) -> dict[str, Any]:
        """Type; the answer tells how many bytes there was room for. Raises WrongStateError."""
        attachment = self._of(session)
        if not attachment.writes:
            raise WrongStateError(
                f"{attachment.connection.port.id} is read-only here",
                help="`take` makes you the writer",
            )
        room = max(0, PENDING_LIMIT - attachment.connection.pending)
        accepted = data[:room]
        if accepted:
            attachment.connection.feed(accepted)
        return {"accepted": len(accepted)}

    def port_of(self, session: ClientSession) -> str:
        """The port that a client is attached to. Raises UsageError."""
        return self._of(session).connection.port.id

    def describe(self) -> list[dict[str, Any]]:
        """Who is attached, for a status."""
        return [
            {
                "port": item.connection.port.id,
                "pid": item.session.pid,
                "writes": item.writes,
                "dropped": item.dropped,
            }
            for item in self._by_session.values()
        ]

    def _of(self, session: ClientSession) -> Attachment:
        attachment = self._by_session.get(session)
        if attachment is None:
            raise UsageError("this connection is not attached to a port", help="`attach` first")
        return attachment

    def _assign(self, attachment: Attachment, mode: Mode) -> Attachment | None:
        """Give out the right to type; returns who has it then."""
        others = (item for item in self._by_session.values() if item is not attachment)
        same_port = (item for item in others if item.connection is attachment.connection)
        writer = next((item for item in same_port if item.writes), None)
        if mode == "read":
            return writer
        if mode == "take" and writer is not None:
            writer.writes = False
            writer._event("read-only", **{"taken-by": attachment.session.pid})
            writer = None
        attachment.writes = writer is None
        return writer or attachment


def _ascii(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
