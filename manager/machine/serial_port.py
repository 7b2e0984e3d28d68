# SPDX-License-Identifier: BSD-2-Clause
"""A serial port between a uart and whatever the host plugs in.

Input waits here until the uart has room for it, also over a suspend; output is handed out in
bursts, to every listener. Time does not pass here and nothing is ever dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

from manager.bus.record import Record, octets
from manager.lazy import dataclass
from manager.machine.listeners import Listeners

PEER = "peer"
"""The kind of input that it is when a client comes to the host's end, or leaves: 1 or 0."""
PENDING_LIMIT = 1 << 20
"""When this much is waiting, the source of a port's input is no longer read."""
RECORD_LIMIT = 16 * PENDING_LIMIT


class PeerAware(Protocol):
    """A device whose guest hears of who is at the host's end, and whose record has that."""

    def has_peer(self) -> bool | None:
        """Whether a client is there as far as the guest knows; None before the first came."""

    def peer_changed(self, there: bool) -> None:
        """One has come or left."""


@dataclass(slots=True)
class SerialPortState(Record):
    """What the host sent and the uart has not taken yet."""

    TYPE: ClassVar[str] = "serial-port"

    pending: bytearray = octets(0, RECORD_LIMIT, "input on its way to the uart")


class SerialPort:
    """manager.bus.channel.Channel for the uart; feed() and take_output() for the host."""

    __slots__ = (
        "_input_ready", "_output", "_post", "_taken", "_tell_peer", "id", "listeners", "peer",
        "state",
    )  # fmt: skip

    def __init__(
        self,
        id: str,
        post: Callable[[bytes], None] | None = None,
        tell_peer: Callable[[bytes], None] | None = None,
    ) -> None:
        self.id = id
        self._post = post if post is not None else self.arrive
        self._tell_peer = tell_peer if tell_peer is not None else self.peer_arrives
        self.peer: PeerAware | None = None
        """The device, if it is to hear of the host's end."""
        self.state = SerialPortState()
        self._taken = 0
        self._output = bytearray()
        self._input_ready: Callable[[], None] | None = None
        self.listeners = Listeners()
        """Who hears the output."""

    def connect(self, input_ready: Callable[[], None], peer: PeerAware | None = None) -> None:
        """Tell a uart of input through `input_ready`, and of the host's end if it has `peer`."""
        self._input_ready = input_ready
        self.peer = peer

    # -- the uart's side ------------------------------------------------------------------

    def transmit(self, byte: int) -> bytearray | None:
        """Take one byte from the guest; the next may be added to what it returns."""
        output = self._output
        output.append(byte)
        if len(output) == 1:
            self.listeners.begun()
        return output or None  # empty if it has been taken: then the next byte begins it again

    def transmit_all(self, data: bytes) -> None:
        """Take bytes from the guest."""
        was_empty = not self._output
        self._output += data
        if was_empty and data:
            self.listeners.begun()

    def receive_some(self, most: int) -> bytes:
        """The next bytes for the guest, `most` or fewer."""
        start = self._taken
        data = bytes(self.state.pending[start : start + most])
        self._taken += len(data)
        if self._taken == len(self.state.pending):
            self.state.pending.clear()
            self._taken = 0
        return data

    def receive(self) -> int:
        """The next byte for the guest, or -1."""
        pending = self.state.pending
        if self._taken == len(pending):
            return -1
        byte = pending[self._taken]
        self._taken += 1
        if self._taken == len(pending):
            pending.clear()
            self._taken = 0
        return byte

    # -- the host's side ------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Bytes fed that the uart has not taken."""
        return len(self.state.pending) - self._taken

    def feed(self, data: bytes) -> None:
        """Send `data` to the guest. It is stamped with a time and arrives at that time."""
        if data:
            self._post(data)

    def arrive(self, data: bytes) -> None:
        """The time of `data` has come: the uart may have it."""
        self._compact()
        self.state.pending += data
        if self._input_ready is not None:
            self._input_ready()

    def tell_peer(self, there: bool) -> None:
        """A client has come to the host's end, or left it. That is input like any other."""
        self._tell_peer(bytes([there]))

    def peer_arrives(self, data: bytes) -> None:
        """The time has come for the device to hear of it."""
        if self.peer is not None:
            self.peer.peer_changed(any(data))

    def take_output(self) -> bytes:
        """All that the guest sent since the last call; the listeners have heard it."""
        output = bytes(self._output)
        self._output.clear()
        if output:
            self.listeners.heard(output)
        return output

    def drop_output(self) -> None:
        """Forget what the guest sent since the last call: it has not been sent."""
        self._output.clear()

    def save(self) -> SerialPortState:
        """A copy of the state."""
        self._compact()
        return SerialPortState(bytearray(self.state.pending))

    def load(self, record: SerialPortState) -> None:
        """Take over a state. The uart asks for the input when it next has room."""
        self.state = record
        self._taken = 0

    def _compact(self) -> None:
        del self.state.pending[: self._taken]
        self._taken = 0
