# SPDX-License-Identifier: BSD-2-Clause
"""The register blocks of virtio over PCI: modern, in memory, and legacy, in I/O ports.

Source: VIRTIO 1.2, section 4.1.4. Both are ways to the same device: what a driver sets up through
one is there through the other.
"""

from __future__ import annotations

from manager.devices.virtio.device import VirtioCore
from manager.devices.virtio.queue import NO_VECTOR, QueueState

MASK64 = (1 << 64) - 1

# Common configuration.
DEVICE_SELECT = 0x00
DEVICE_FEATURES = 0x04
DRIVER_SELECT = 0x08
DRIVER_FEATURES = 0x0C
CONFIG_VECTOR = 0x10
QUEUES = 0x12
STATUS = 0x14
GENERATION = 0x15
QUEUE_SELECT = 0x16
QUEUE_SIZE = 0x18
QUEUE_VECTOR = 0x1A
QUEUE_ENABLE = 0x1C
QUEUE_NOTIFY = 0x1E
QUEUE_DESCRIPTORS = 0x20
QUEUE_DRIVER = 0x28
QUEUE_DEVICE = 0x30
COMMON_LENGTH = 0x38

# Legacy header.
LEGACY_DEVICE_FEATURES = 0x00
LEGACY_DRIVER_FEATURES = 0x04
LEGACY_QUEUE_PAGE = 0x08
LEGACY_QUEUE_SIZE = 0x0C
LEGACY_QUEUE_SELECT = 0x0E
LEGACY_NOTIFY = 0x10
LEGACY_STATUS = 0x12
LEGACY_ISR = 0x13
LEGACY_CONFIG_VECTOR = 0x14
LEGACY_QUEUE_VECTOR = 0x16
LEGACY_CONFIG = 0x14
LEGACY_CONFIG_WITH_MSIX = 0x18
LEGACY_ALIGNMENT = 4096
_PAGE_SHIFT = 12


class Registers:
    """Common configuration and legacy header over one device; `vectors` are those of MSI-X."""

    def __init__(self, core: VirtioCore, vectors: int) -> None:
        self._core = core
        self._vectors = vectors

    @property
    def _queue(self) -> QueueState | None:
        index = self._core.virtio.queue_select
        queues = self._core.queues
        return queues[index].state if index < len(queues) else None

    def _vector(self, value: int) -> int:
        return value if value < self._vectors else NO_VECTOR

    # -- common configuration -----------------------------------------------------------------

    def read_common(self, offset: int, size: int) -> int:
        """Read `size` bytes; fields may be read in part."""
        return int.from_bytes(self._common()[offset : offset + size], "little")

    def _common(self) -> bytes:
        core, virtio = self._core, self._core.virtio
        offered = core.features >> 32 * virtio.device_select if virtio.device_select < 2 else 0
        accepted = virtio.driver_features
        accepted = accepted >> 32 * virtio.driver_select if virtio.driver_select < 2 else 0
        queue = self._queue or QueueState(size=0)
        fields = (
            (virtio.device_select, 4),
            (offered & 0xFFFFFFFF, 4),
            (virtio.driver_select, 4),
            (accepted & 0xFFFFFFFF, 4),
            (virtio.config_vector, 2),
            (len(core.queues), 2),
            (virtio.status, 1),
            (virtio.generation, 1),
            (virtio.queue_select, 2),
            (queue.size, 2),
            (queue.vector, 2),
            (queue.enabled, 2),
            (virtio.queue_select, 2),  # each queue has a notify address of its own
            (queue.descriptors, 8),
            (queue.driver, 8),
            (queue.device, 8),
        )
        return b"".join(int(value).to_bytes(length, "little") for value, length in fields)

    def write_common(self, offset: int, size: int, value: int) -> None:
        """Write a field, or half of one that has 64 bits; other writes are dropped."""
        core, virtio = self._core, self._core.virtio
        if offset == DEVICE_SELECT:
            virtio.device_select = value
        elif offset == DRIVER_SELECT:
            virtio.driver_select = value
        elif offset == DRIVER_FEATURES and virtio.driver_select < 2:
            shift = 32 * virtio.driver_select
            kept = virtio.driver_features & ~(0xFFFFFFFF << shift)
            core.set_driver_features(kept | value << shift)
        elif offset == CONFIG_VECTOR:
            virtio.config_vector = self._vector(value)
        elif offset == STATUS:
            core.set_status(value & 0xFF)
        elif offset == QUEUE_SELECT:
            virtio.queue_select = value & 0xFFFF
        elif (queue := self._queue) is not None:
            self._write_queue(queue, offset, size, value)

    def _write_queue(self, queue: QueueState, offset: int, size: int, value: int) -> None:
        if offset == QUEUE_VECTOR:
            queue.vector = self._vector(value)
        elif offset == QUEUE_ENABLE:
            # Only a reset of the device disables a queue again.
            queue.enabled = queue.enabled or value == 1
        elif queue.enabled:
            return
        elif offset == QUEUE_SIZE:
            most = self._core.QUEUE_SIZES[self._core.virtio.queue_select]
            if 0 < value <= most and not value & value - 1:
                queue.size = value
        else:
            for start, name in (
                (QUEUE_DESCRIPTORS, "descriptors"),
                (QUEUE_DRIVER, "driver"),
                (QUEUE_DEVICE, "device"),
            ):
                if start <= offset < start + 8:
                    shift = 8 * (offset - start)
                    mask = ((1 << 8 * size) - 1) << shift
                    before = getattr(queue, name)
                    setattr(queue, name, (before & ~mask | value << shift & mask) & MASK64)

    # -- legacy -----------------------------------------------------------------------------------

    def read_legacy(self, offset: int, size: int, *, with_msix: bool) -> int:
        """Read from the legacy header or the configuration behind it; the ISR elsewhere."""
        core, virtio = self._core, self._core.virtio
        start = LEGACY_CONFIG_WITH_MSIX if with_msix else LEGACY_CONFIG
        if offset >= start:
            at = offset - start
            return int.from_bytes(core.config()[at : at + size], "little")
        queue = self._queue
        header = {
            LEGACY_DEVICE_FEATURES: core.features & 0xFFFFFFFF,
            LEGACY_DRIVER_FEATURES: virtio.driver_features & 0xFFFFFFFF,
            LEGACY_QUEUE_PAGE: queue.descriptors >> _PAGE_SHIFT if queue is not None else 0,
            LEGACY_QUEUE_SIZE: queue.size if queue is not None else 0,
            LEGACY_QUEUE_SELECT: virtio.queue_select,
            LEGACY_STATUS: virtio.status,
            LEGACY_CONFIG_VECTOR: virtio.config_vector,
            LEGACY_QUEUE_VECTOR: queue.vector if queue is not None else NO_VECTOR,
        }
        return header.get(offset, 0) & (1 << 8 * size) - 1

    def write_legacy(self, offset: int, size: int, value: int, *, with_msix: bool) -> None:
        """Write to the legacy header or the configuration behind it; notifications elsewhere."""
        core, virtio = self._core, self._core.virtio
        start = LEGACY_CONFIG_WITH_MSIX if with_msix else LEGACY_CONFIG
        queue = self._queue
        if offset >= start:
            core.write_config(offset - start, value.to_bytes(size, "little"))
        elif offset == LEGACY_DRIVER_FEATURES:
            core.set_driver_features(value)
        elif offset == LEGACY_QUEUE_SELECT:
            virtio.queue_select = value & 0xFFFF
        elif offset == LEGACY_STATUS:
            core.set_status(value & 0xFF)
        elif offset == LEGACY_CONFIG_VECTOR:
            virtio.config_vector = self._vector(value & 0xFFFF)
        elif queue is None:
            return
        elif offset == LEGACY_QUEUE_VECTOR:
            queue.vector = self._vector(value & 0xFFFF)
        elif offset == LEGACY_QUEUE_PAGE:
            place_legacy(queue, (value & 0xFFFFFFFF) << _PAGE_SHIFT)


def place_legacy(queue: QueueState, base: int) -> None:
    """Lay a queue out as legacy drivers do: one piece from `base` on; 0 takes it away."""
    queue.descriptors = base
    queue.driver = base + 16 * queue.size if base else 0
    end = queue.driver + 6 + 2 * queue.size
    queue.device = -(-end // LEGACY_ALIGNMENT) * LEGACY_ALIGNMENT if base else 0
    queue.enabled = base != 0
    if not base:
        queue.taken = queue.given = queue.signalled = 0
