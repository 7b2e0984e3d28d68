# SPDX-License-Identifier: BSD-2-Clause
"""virtio-net: frames between two queues and a cable.

Source: VIRTIO 1.2, section 5.1. No checksums and no segmentation are offered, so the header before
each frame says nothing but how many buffers it fills. All frames are received, whatever their
address: there is no control queue to say otherwise.
"""

from __future__ import annotations

import struct

from manager.bus.clock import Clock
from manager.bus.dma import Dma
from manager.bus.ethernet import HEADER, MAX_FRAME, Cable
from manager.devices.nic_port import NicPort, frame_time
from manager.devices.virtio.device import DRIVER_OK, NEEDS_RESET, VERSION_1, VirtioCore
from manager.devices.virtio.queue import Chain, QueueBrokenError
from manager.devices.virtio.server import Server

MAC = 1 << 5
MERGEABLE = 1 << 15
STATUS = 1 << 16

RECEIVE, TRANSMIT = 0, 1
QUEUE_SIZE = 256
LINK_UP = 1
LONG_HEADER, SHORT_HEADER = 12, 10
"""Bytes before each frame: modern drivers and those with mergeable buffers have a count there."""


class NetCore(VirtioCore):
    """A card with the address `mac`, plugged into `cable`."""

    FEATURES = MAC | MERGEABLE | STATUS
    QUEUE_SIZES = (QUEUE_SIZE, QUEUE_SIZE)

    def __init__(self, dma: Dma, clock: Clock, cable: Cable, mac: bytes) -> None:
        super().__init__(dma)
        self.server = Server(self, TRANSMIT, clock, _time, self._send)
        self.port = NicPort(self, clock, cable)
        self._dma = dma
        self._mac = mac

    def config(self) -> bytes:
        """Address and link."""
        return self._mac + struct.pack("<H", LINK_UP if self.port.state.up else 0)

    def settle(self) -> None:
        """Make the timers agree with the records."""
        self.server.settle()
        self.port.settle()

    def forget(self) -> None:
        """Drop what is under way."""
        self.server.forget()
        self.port.drop()

    def notified(self, index: int) -> None:
        """There may be a frame to send, or room for one that came."""
        if index == TRANSMIT:
            self.server.begin()
        else:
            self.port.has_room()

    @property
    def _header(self) -> int:
        is_long = self.virtio.driver_features & (VERSION_1 | MERGEABLE)
        return LONG_HEADER if is_long else SHORT_HEADER

    # -- out ----------------------------------------------------------------------------------

    def _send(self, chain: Chain) -> int:
        """Send the frame behind the header; what is no frame is dropped, as a wire would."""
        header, length = self._header, chain.to_read
        if header + HEADER <= length <= header + MAX_FRAME:
            data = self._dma.gather(chain.readable)
            if len(data) < length:
                raise QueueBrokenError("a frame that is not in RAM")
            self.port.send(data[header:])
        return 0

    # -- in -----------------------------------------------------------------------------------

    def listens(self) -> bool:
        """Whether the driver is ready."""
        return self.virtio.status & (DRIVER_OK | NEEDS_RESET) == DRIVER_OK

    def receive(self, frame: bytes) -> bool:
        """Put a frame into the driver's buffers, if there are enough."""
        stored = True

        def store() -> None:
            nonlocal stored
            stored = self._store(frame)

        self.serve(store)
        return stored

    def _store(self, frame: bytes) -> bool:
        chains = self._buffers(self._header + len(frame))
        if chains is None:
            return False
        count = len(chains) if self._header == LONG_HEADER else 0
        rest = memoryview(
            bytes(SHORT_HEADER) + struct.pack("<H", count)[: self._header - 10] + frame
        )
        for number, chain in enumerate(chains):
            part, rest = rest[: chain.to_write], rest[chain.to_write :]
            if self._dma.scatter(chain.writable, part) < len(part):
                raise QueueBrokenError("a buffer that is not in RAM")
            if number < len(chains) - 1:
                self.queues[RECEIVE].give_back(chain.head, len(part))
            else:
                self.give_back(RECEIVE, chain.head, len(part))
        return True

    def _buffers(self, wanted: int) -> list[Chain] | None:
        """Buffers for so many bytes: several if the driver merges them, none if one is too small.

        None while there are not enough; then all of them stay available.
        """
        queue = self.queues[RECEIVE]
        mergeable = self.virtio.driver_features & MERGEABLE
        chains: list[Chain] = []
        room = 0
        while room < wanted:
            head = queue.take()
            if head is None:
                queue.ask_to_be_told()
                queue.put_back(len(chains))
                return None
            chain = queue.chain(head)
            chains.append(chain)
            room += chain.to_write
            if not chain.to_write:
                raise QueueBrokenError("a buffer that cannot be written to")
            if room < wanted and not mergeable:
                queue.put_back(1)
                return []
        return chains

    def link_changed(self) -> None:
        """The driver is to look."""
        if self.listens():
            self.config_changed()


def _time(chain: Chain) -> int:
    return frame_time(min(chain.to_read, MAX_FRAME))
