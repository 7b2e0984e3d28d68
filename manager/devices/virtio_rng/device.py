# SPDX-License-Identifier: BSD-2-Clause
"""virtio-rng in a PCI slot."""

from __future__ import annotations

from manager.bus.record import Record, nested, several
from manager.devices.virtio.composed import VirtioDevice, VirtioPciState
from manager.devices.virtio.device import VirtioState
from manager.devices.virtio.queue import QueueState
from manager.devices.virtio.server import ServiceState
from manager.devices.virtio_rng.source import RandomCore, SourceState
from manager.lazy import dataclass


@dataclass(slots=True)
class VirtioRngState(Record):
    """A virtio-rng device."""

    TYPE = "virtio-rng"

    pci: VirtioPciState = nested(VirtioPciState, "PCI function")
    virtio: VirtioState = nested(VirtioState, "what the driver has negotiated")
    queues: list[QueueState] = several(QueueState, 1, "request queue")
    service: ServiceState = nested(ServiceState, "the request that is being served")
    source: SourceState = nested(SourceState, "the source of the bytes")


class VirtioRng(VirtioDevice[VirtioRngState, RandomCore]):
    """The core behind its function."""

    STATE = VirtioRngState

    def adopt(self, record: VirtioRngState) -> None:
        """The server's part, and the source's."""
        self.core.server.state = record.service
        self.core.source = record.source
