# SPDX-License-Identifier: BSD-2-Clause
"""virtio-rng: random bytes from a seed in the machine file.

Source: VIRTIO 1.2, section 5.4. The bytes are BLAKE3's output for the seed, from where the last
request ended: the same on any host, and another seed is the one place where clones differ.
"""

from __future__ import annotations

from blake3 import blake3

from manager.bus.clock import Clock
from manager.bus.dma import Dma
from manager.bus.record import Record, uint
from manager.devices.virtio.device import VirtioCore
from manager.devices.virtio.queue import Chain
from manager.devices.virtio.server import Server
from manager.lazy import dataclass

ACCESS_TIME = 10_000
"""ns that a request takes."""
MOST_BYTES = 1 << 16
"""What one request gets, at most; the driver asks again."""


@dataclass(slots=True)
class SourceState(Record):
    """Where in the seed's output the source is."""

    TYPE = "virtio-rng-source"

    position: int = uint(63, "how much was given out", unit="bytes")


class RandomCore(VirtioCore):
    """One queue of buffers to fill."""

    QUEUE_SIZES = (64,)

    def __init__(self, dma: Dma, clock: Clock, seed: int) -> None:
        super().__init__(dma)
        self.source = SourceState()
        self.server = Server(self, 0, clock, lambda _: ACCESS_TIME, self._execute)
        self._dma = dma
        self._state = blake3(b"vmmgr virtio-rng" + seed.to_bytes(8, "little"))

    def settle(self) -> None:
        """Make the timer agree with the record."""
        self.server.settle()

    def forget(self) -> None:
        """Drop the request that is being served."""
        self.server.forget()

    def notified(self, index: int) -> None:
        """There may be a buffer."""
        self.server.begin()

    def _execute(self, chain: Chain) -> int:
        length = min(chain.to_write, MOST_BYTES)
        source = self.source
        data = self._state.digest(length=length, seek=source.position) if length else b""
        source.position += length
        return self._dma.scatter(chain.writable, data)
