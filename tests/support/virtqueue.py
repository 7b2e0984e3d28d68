# SPDX-License-Identifier: BSD-2-Clause
"""A driver of a split virtqueue, to test devices with: VIRTIO 1.2, section 2.7, its other side."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from manager.bus.memory import Memory
from manager.devices.virtio.queue import (
    DESC_BYTES,
    DESC_INDIRECT,
    DESC_NEXT,
    DESC_WRITE,
    QueueState,
)


class Driver:
    """Puts requests into the rings at `base` and finds them in the used ring again."""

    def __init__(self, memory: Memory, base: int, size: int) -> None:
        self.memory = memory
        self.size = size
        self.descriptors = base
        self.available = base + DESC_BYTES * size
        self.used = self.available + 6 + 2 * size + 3 & ~3
        self.end = self.used + 6 + 8 * size
        self._free = list(range(size))
        self._chains: dict[int, list[int]] = {}
        self._next = 0
        self._seen = 0

    def set_up(self, state: QueueState) -> None:
        """As the driver would through the transport."""
        state.size, state.enabled = self.size, True
        state.descriptors, state.driver, state.device = self.descriptors, self.available, self.used

    def put(
        self,
        readable: Sequence[tuple[int, int]],
        writable: Sequence[tuple[int, int]] = (),
        *,
        table: int | None = None,
    ) -> int:
        """Make a request available; with `table` its descriptors are in an indirect table there."""
        parts = [(*part, 0) for part in readable] + [(*part, DESC_WRITE) for part in writable]
        if table is not None:
            for number, (address, length, flags) in enumerate(parts):
                last = number == len(parts) - 1
                entry = (address, length, flags | (0 if last else DESC_NEXT), number + 1)
                self._descriptor(table + DESC_BYTES * number, *entry)
            parts = [(table, DESC_BYTES * len(parts), DESC_INDIRECT)]
        taken = [self._free.pop(0) for _ in parts]
        for number, (index, (address, length, kind)) in enumerate(zip(taken, parts, strict=True)):
            is_last = number == len(parts) - 1
            following = 0 if is_last else taken[number + 1]
            flags = kind if is_last else kind | DESC_NEXT
            self.descriptor(index, address, length, flags, following)
        self._chains[taken[0]] = taken
        self.make_available(taken[0])
        return taken[0]

    def make_available(self, head: int) -> None:
        self._store("<H", self.available + 4 + 2 * (self._next % self.size), head)
        self._next = self._next + 1 & 0xFFFF
        self._store("<H", self.available + 2, self._next)

    def collect(self) -> list[tuple[int, int]]:
        """(head, written) of all requests that came back since the last call."""
        index = self._load("<H", self.used + 2)
        found = []
        while self._seen != index:
            at = self.used + 4 + 8 * (self._seen % self.size)
            head, written = self._load("<I", at), self._load("<I", at + 4)
            self._free += self._chains.pop(head, [])
            found.append((head, written))
            self._seen = self._seen + 1 & 0xFFFF
        return found

    def descriptor(self, index: int, address: int, length: int, flags: int, following: int) -> None:
        """Write a descriptor of the table as it is, whatever it says."""
        self._descriptor(self.descriptors + DESC_BYTES * index, address, length, flags, following)

    def hear_of(self, index: int) -> None:
        """With VIRTIO_F_EVENT_IDX: interrupt me once this used index is passed."""
        self._store("<H", self.available + 4 + 2 * self.size, index)

    def suppress(self, on: bool) -> None:
        """Without it: do not interrupt me."""
        self._store("<H", self.available, int(on))

    @property
    def avail_event(self) -> int:
        """Which available index the device wants to hear of."""
        return self._load("<H", self.used + 4 + 8 * self.size)

    def _descriptor(self, at: int, address: int, length: int, flags: int, following: int) -> None:
        self.memory.write(at, struct.pack("<QIHH", address, length, flags, following))

    def _store(self, form: str, at: int, value: int) -> None:
        self.memory.write(at, struct.pack(form, value))

    def _load(self, form: str, at: int) -> int:
        value: int = struct.unpack(form, self.memory.read(at, struct.calcsize(form)))[0]
        return value
