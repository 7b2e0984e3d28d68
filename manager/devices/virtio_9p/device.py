# SPDX-License-Identifier: BSD-2-Clause
"""virtio-9p in a PCI slot."""

from __future__ import annotations

from manager.bus.record import Record, nested, several
from manager.devices.virtio.composed import VirtioDevice, VirtioPciState
from manager.devices.virtio.device import VirtioState
from manager.devices.virtio.queue import QueueState
from manager.devices.virtio.server import ServiceState
from manager.devices.virtio_9p.fids import SessionState
from manager.devices.virtio_9p.server import FilesCore
from manager.lazy import dataclass


@dataclass(slots=True)
class Virtio9pState(Record):
    """A virtio-9p device."""

    TYPE = "virtio-9p"

    pci: VirtioPciState = nested(VirtioPciState, "PCI function")
    virtio: VirtioState = nested(VirtioState, "what the driver has negotiated")
    queues: list[QueueState] = several(QueueState, 1, "request queue")
    service: ServiceState = nested(ServiceState, "the request that is being served")
    session: SessionState = nested(SessionState, "what the client has open")


class Virtio9p(VirtioDevice[Virtio9pState, FilesCore]):
    """The core behind its function."""

    STATE = Virtio9pState
    CACHES = True

    def adopt(self, record: Virtio9pState) -> None:
        """The server's part, and the client's."""
        self.core.server.state = record.service
        self.core.files.adopt(record.session)
