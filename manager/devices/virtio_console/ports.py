# SPDX-License-Identifier: BSD-2-Clause
"""virtio-console: bytes between two queues for each port and the channels to the host.

Source: VIRTIO 1.2, section 5.3. Port 0 is a console; the others have names, of which the driver is
told through a queue for control messages. What it is yet to be told is a few bits for each port, so
a driver that makes no room for messages costs nothing. A port with a name gets input while a
program of the guest has it open. The host's end of one is open until a client of its socket has
left, and again when the next one comes; the console's is always open.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from manager.bus.clock import Clock
from manager.bus.dma import Dma
from manager.bus.record import Record, flag, nested, uint
from manager.devices.virtio.device import DRIVER_OK, VirtioCore
from manager.devices.virtio.queue import Chain, QueueBrokenError
from manager.devices.virtio.server import Server, ServiceState
from manager.lazy import dataclass

MULTIPORT = 1 << 1
EMERGENCY_WRITE = 1 << 2

MOST_PORTS = 8
QUEUES = 2 * (MOST_PORTS + 1)
CONTROL_RECEIVE, CONTROL_TRANSMIT = 2, 3
QUEUE_SIZE = 128

ACCESS_TIME = 5_000
"""ns that any request takes, and one more for each byte."""
MOST_BYTES = 1 << 16
"""What goes into one buffer of the driver's, at most."""
LONGEST_MESSAGE = 4096
"""Bytes of a control message of the driver's; longer ones are none."""

EMERGENCY_AT = 8
_CONFIG = struct.Struct("<HHII")
"""Columns and rows, which are not offered; ports at most; where to write a byte in need."""
_MESSAGE = struct.Struct("<IHH")
"""Port, event, value."""
DEVICE_READY, DEVICE_ADD, PORT_READY, CONSOLE_PORT, PORT_OPEN, PORT_NAME = 0, 1, 3, 4, 6, 7
ADDED, CONSOLE, NAMED, OPEN = 1, 2, 4, 8
_TOLD = {ADDED: DEVICE_ADD, CONSOLE: CONSOLE_PORT, NAMED: PORT_NAME, OPEN: PORT_OPEN}
"""What the driver is to be told, in this order, and by which event."""


class PortChannel(Protocol):
    """The other end of one port."""

    @property
    def pending(self) -> int:
        """Bytes for the guest."""

    def connect(self, input_ready: partial[None], peer: Peer | None) -> None:
        """Tell of input through `input_ready`, and of the host's end."""

    def transmit_all(self, data: bytes) -> None:
        """Take bytes from the guest."""

    def receive_some(self, most: int) -> bytes:
        """The next bytes for the guest, `most` or fewer; none when there are none."""


NO_PEER_YET, PEER_THERE, PEER_GONE = range(3)


@dataclass(slots=True)
class PortState(Record):
    """A port of a virtio-console device."""

    TYPE = "virtio-console-port"

    service: ServiceState = nested(ServiceState, "the output that is being taken")
    is_open: bool = flag("whether a program of the guest has it open")
    untold: int = uint(
        4, "what the driver is yet to be told of it", names="ADDED CONSOLE NAMED OPEN"
    )
    is_ready: bool = flag("whether the driver wants to hear of it")
    peer: int = uint(2, "at the host's end: 0 no client yet, 1 a client, 2 it has left")


class Peer:
    """The host's end of one port."""

    __slots__ = ("_changed", "_state")

    def __init__(self, state: Callable[[], PortState], changed: Callable[[], None]) -> None:
        self._state = state
        self._changed = changed

    def has_peer(self) -> bool | None:
        """Whether a client is there; None before the first came."""
        known = self._state().peer
        return None if known == NO_PEER_YET else known == PEER_THERE

    def peer_changed(self, there: bool) -> None:
        """One has come or left: the driver hears of it if the end opens or closes."""
        state = self._state()
        was_open = state.peer != PEER_GONE
        state.peer = PEER_THERE if there else PEER_GONE
        if state.is_ready and was_open != there:
            state.untold |= OPEN
            self._changed()


class ConsoleCore(VirtioCore):
    """A console on the first of `channels`, and ports with `names` on the others."""

    FEATURES = MULTIPORT | EMERGENCY_WRITE
    QUEUE_SIZES = (QUEUE_SIZE,) * QUEUES

    def __init__(
        self, dma: Dma, clock: Clock, channels: Sequence[PortChannel], names: Sequence[str]
    ) -> None:
        super().__init__(dma)
        self.ports = [PortState() for _ in range(MOST_PORTS)]
        self.control = Server(self, CONTROL_TRANSMIT, clock, _time, self._obey)
        self._dma = dma
        self._channels = channels
        self._names = ("", *names)
        self._servers = [
            Server(self, _queues(number)[1], clock, _time, partial(self._send, number))
            for number in range(len(channels))
        ]
        for number, channel in enumerate(channels):
            channel.connect(partial(self._input_ready, number), self._peer(number))
        self.adopt_ports(self.control.state, self.ports)

    def adopt_ports(self, control: ServiceState, ports: list[PortState]) -> None:
        """Take over the records that the device nests."""
        self.ports = ports
        self.control.state = control
        for server, port in zip(self._servers, ports, strict=False):
            server.state = port.service

    def config(self) -> bytes:
        """How many ports there may be."""
        return _CONFIG.pack(0, 0, MOST_PORTS, 0)

    def write_config(self, offset: int, value: bytes) -> None:
        """A byte for the console, before the driver has any queue."""
        if offset == EMERGENCY_AT:
            self._channels[0].transmit_all(value[:1])

    def settle(self) -> None:
        """Make the timers agree with the records."""
        for server in (self.control, *self._servers):
            server.settle()

    def forget(self) -> None:
        """Drop what is under way, and what the driver has said of ports."""
        for server in (self.control, *self._servers):
            server.forget()
        for port in self.ports:
            port.is_open, port.is_ready, port.untold = False, False, 0

    def notified(self, index: int) -> None:
        """There may be output, room for input, or a message."""
        if index == CONTROL_RECEIVE:
            self._tell()
        elif index == CONTROL_TRANSMIT:
            self.control.begin()
        elif (number := max(0, index // 2 - 1)) < len(self._channels):
            if index == _queues(number)[0]:
                self._fill(number)
            else:
                self._servers[number].begin()

    # -- bytes --------------------------------------------------------------------------------

    def _send(self, number: int, chain: Chain) -> int:
        data = self._dma.gather(chain.readable)
        if len(data) < chain.to_read:
            raise QueueBrokenError("output that is not in RAM")
        self._channels[number].transmit_all(data)
        return 0

    def _input_ready(self, number: int) -> None:
        if self.virtio.status & DRIVER_OK:
            self.serve(lambda: self._fill(number))

    def _takes_input(self, number: int) -> bool:
        """A driver without control messages has port 0 alone, and always open."""
        if not self.virtio.driver_features & MULTIPORT:
            return number == 0
        return self.ports[number].is_open

    def _fill(self, number: int) -> None:
        """Put input into the driver's buffers while there is some, and room."""
        channel, index = self._channels[number], _queues(number)[0]
        while channel.pending and self._takes_input(number):
            chain = self._buffer(index)
            if chain is None:
                return
            data = channel.receive_some(min(chain.to_write, MOST_BYTES))
            if not data or self._dma.scatter(chain.writable, data) < len(data):
                raise QueueBrokenError("a buffer that cannot be written to")
            self.give_back(index, chain.head, len(data))

    def _buffer(self, index: int) -> Chain | None:
        queue = self.queues[index]
        head = queue.take()
        if head is None:
            queue.ask_to_be_told()
            # One that came before the driver could see that is not told of.
            head = queue.take()
        return None if head is None else queue.chain(head)

    def _peer(self, number: int) -> Peer | None:
        """What hears of a port's clients; the console's driver has no use for it."""
        if number == 0:
            return None
        return Peer(lambda: self.ports[number], lambda: self.serve(self._tell))

    # -- control messages ---------------------------------------------------------------------

    def _obey(self, chain: Chain) -> int:
        """A message of the driver's. One that makes no sense is ignored."""
        if not _MESSAGE.size <= chain.to_read <= LONGEST_MESSAGE:
            return 0
        data = self._dma.gather(chain.readable)
        if len(data) < chain.to_read:
            raise QueueBrokenError("a message that is not in RAM")
        number, event, value = _MESSAGE.unpack_from(data)
        present = len(self._channels)
        if event == DEVICE_READY and value:
            for port in self.ports[:present]:
                port.untold |= ADDED
        elif number < present and event == PORT_READY and value:
            self.ports[number].untold |= (CONSOLE if number == 0 else NAMED) | OPEN
            self.ports[number].is_ready = True
        elif number < present and event == PORT_OPEN:
            self.ports[number].is_open = bool(value)
            self._fill(number)
        self._tell()
        return 0

    def _tell(self) -> None:
        """Send messages while there are some, and room."""
        for number, port in enumerate(self.ports):
            for bit, event in _TOLD.items():
                if not port.untold & bit:
                    continue
                chain = self._buffer(CONTROL_RECEIVE)
                if chain is None:
                    return
                name = self._names[number].encode() if bit == NAMED else b""
                value = 0 if bit == OPEN and port.peer == PEER_GONE else 1
                message = _MESSAGE.pack(number, event, value) + name
                if self._dma.scatter(chain.writable, message) < len(message):
                    raise QueueBrokenError("a buffer that has no room for a message")
                port.untold &= ~bit
                self.give_back(CONTROL_RECEIVE, chain.head, len(message))


def _queues(number: int) -> tuple[int, int]:
    """The queues for input and output of a port; those for control are between 0's and 1's."""
    first = 2 * number + 2 if number else 0
    return first, first + 1


def _time(chain: Chain) -> int:
    return ACCESS_TIME + chain.to_read
