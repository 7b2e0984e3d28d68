# SPDX-License-Identifier: BSD-2-Clause
"""What a virtio device is to its driver, whichever way the driver reaches it.

Source: VIRTIO 1.2, sections 2 and 3. The transport asks the questions below; a device answers them
and serves its queues.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from manager.bus.dma import Dma
from manager.bus.record import Record, uint
from manager.devices.virtio.queue import NO_VECTOR, QueueBrokenError, QueueState, Virtqueue
from manager.lazy import dataclass

ACKNOWLEDGE = 0x01
DRIVER = 0x02
DRIVER_OK = 0x04
FEATURES_OK = 0x08
NEEDS_RESET = 0x40
FAILED = 0x80

INDIRECT_DESC = 1 << 28
EVENT_IDX = 1 << 29
VERSION_1 = 1 << 32
TRANSPORT_FEATURES = INDIRECT_DESC | EVENT_IDX | VERSION_1

ISR_QUEUE = 0x01
ISR_CONFIG = 0x02


@dataclass(slots=True)
class VirtioState(Record):
    """What the driver has negotiated."""

    TYPE = "virtio"

    status: int = uint(8, "device status")
    isr: int = uint(8, "interrupt status")
    driver_features: int = uint(64, "features that the driver accepts")
    device_select: int = uint(32, "which half of the device's features is read")
    driver_select: int = uint(32, "which half of the driver's features is written")
    queue_select: int = uint(16, "queue that the registers are about")
    config_vector: int = uint(16, "MSI-X vector of changes; 0xffff is none", NO_VECTOR)
    generation: int = uint(8, "counts changes of the device's configuration")


class VirtioCore:
    """Status, features and queues of one device.

    `interrupt(vector)` interrupts by that MSI-X vector, NO_VECTOR for the pin alone: the transport
    has it. Subclasses serve the queues.
    """

    FEATURES: ClassVar[int] = 0
    """Features of the device type that it offers, bits 0-23 and 50 and up."""
    QUEUE_SIZES: ClassVar[Sequence[int]] = (256,)
    """The most descriptors of each queue, powers of two."""

    def __init__(self, dma: Dma) -> None:
        self.virtio = VirtioState()
        self.queues = tuple(Virtqueue(dma, QueueState(size=size)) for size in self.QUEUE_SIZES)
        self.interrupt: Callable[[int, int], None] = lambda isr, vector: None

    @property
    def features(self) -> int:
        """All that is offered."""
        return self.FEATURES | TRANSPORT_FEATURES

    # -- what a device has of its own -------------------------------------------------------

    def config(self) -> bytes:
        """The device's configuration, as the driver reads it."""
        return b""

    def write_config(self, offset: int, value: bytes) -> None:
        """The driver writes to the device's configuration."""

    @abstractmethod
    def notified(self, index: int) -> None:
        """There may be requests in a queue. Raises QueueBrokenError."""

    def settle(self) -> None:
        """Make timers agree with the records."""

    @abstractmethod
    def forget(self) -> None:
        """The driver resets the device: drop what is under way."""

    # -- what the transport does ------------------------------------------------------------

    def adopt(self, virtio: VirtioState, queues: Sequence[QueueState]) -> None:
        """Take over the records that the device nests."""
        self.virtio = virtio
        for queue, state in zip(self.queues, queues, strict=True):
            queue.state = state
        self._features_known()

    def reset(self) -> None:
        """The driver writes 0 to the status, or the machine is reset."""
        virtio = self.virtio
        for item in ("status", "isr", "driver_features", "device_select", "driver_select"):
            setattr(virtio, item, 0)
        virtio.queue_select = 0
        virtio.config_vector = NO_VECTOR
        for queue, size in zip(self.queues, self.QUEUE_SIZES, strict=True):
            fresh = QueueState(size=size)
            for item in QueueState.__slots__:
                setattr(queue.state, item, getattr(fresh, item))
        self.forget()

    def set_status(self, value: int) -> None:
        """The driver writes the device status."""
        virtio = self.virtio
        if value == 0:
            self.reset()
            return
        if value & FEATURES_OK and virtio.driver_features & ~self.features:
            value &= ~FEATURES_OK
        virtio.status = value | virtio.status & NEEDS_RESET
        self._features_known()

    def set_driver_features(self, value: int) -> None:
        """The driver accepts features."""
        self.virtio.driver_features = value
        self._features_known()

    def notify(self, index: int) -> None:
        """The driver has made requests available in a queue."""
        if index < len(self.queues) and self.virtio.status & DRIVER_OK:
            self.serve(lambda: self.notified(index))

    def serve(self, work: Callable[[], None]) -> None:
        """Do something with a queue; a queue that breaks makes the device need a reset."""
        if self.virtio.status & NEEDS_RESET:
            return
        try:
            work()
        except QueueBrokenError:
            self.virtio.status |= NEEDS_RESET
            self.forget()
            self.interrupt(ISR_CONFIG, self.virtio.config_vector)

    def give_back(self, index: int, head: int, written: int) -> None:
        """A request is done, and the driver hears of it if it wants to. Raises QueueBrokenError."""
        queue = self.queues[index]
        queue.give_back(head, written)
        if queue.wants_interrupt():
            self.interrupt(ISR_QUEUE, queue.state.vector)

    def config_changed(self) -> None:
        """The driver is to read the configuration again."""
        self.virtio.generation = self.virtio.generation + 1 & 0xFF
        self.interrupt(ISR_CONFIG, self.virtio.config_vector)

    def _features_known(self) -> None:
        accepted = self.virtio.driver_features
        for queue in self.queues:
            queue.event_index = bool(accepted & EVENT_IDX)
            queue.indirect = bool(accepted & INDIRECT_DESC)
