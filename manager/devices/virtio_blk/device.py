# SPDX-License-Identifier: BSD-2-Clause
"""virtio-blk in a PCI slot."""

from __future__ import annotations

from manager.bus.record import Record, nested, several
from manager.devices.virtio.composed import VirtioDevice, VirtioPciState
from manager.devices.virtio.device import VirtioState
from manager.devices.virtio.queue import QueueState
from manager.devices.virtio.server import ServiceState
from manager.devices.virtio_blk.requests import BlockCore
from manager.lazy import dataclass


@dataclass(slots=True)
class VirtioBlkState(Record):
    """A virtio-blk device."""

    TYPE = "virtio-blk"

    pci: VirtioPciState = nested(VirtioPciState, "PCI function")
    virtio: VirtioState = nested(VirtioState, "what the driver has negotiated")
    queues: list[QueueState] = several(QueueState, 1, "request queue")
    service: ServiceState = nested(ServiceState, "the request that is being served")


class VirtioBlk(VirtioDevice[VirtioBlkState, BlockCore]):
    """The core behind its function."""

    STATE = VirtioBlkState

    def adopt(self, record: VirtioBlkState) -> None:
        """The server's part."""
        self.core.server.state = record.service
