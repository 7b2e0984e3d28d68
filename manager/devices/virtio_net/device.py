# SPDX-License-Identifier: BSD-2-Clause
"""virtio-net in a PCI slot."""

from __future__ import annotations

from manager.bus.record import Record, nested, several
from manager.devices.device import Takes
from manager.devices.nic_port import NicPortState
from manager.devices.virtio.composed import VirtioDevice, VirtioPciState
from manager.devices.virtio.device import VirtioState
from manager.devices.virtio.queue import QueueState
from manager.devices.virtio.server import ServiceState
from manager.devices.virtio_net.frames import NetCore
from manager.lazy import dataclass


@dataclass(slots=True)
class VirtioNetState(Record):
    """A virtio-net device."""

    TYPE = "virtio-net"

    pci: VirtioPciState = nested(VirtioPciState, "PCI function")
    virtio: VirtioState = nested(VirtioState, "what the driver has negotiated")
    queues: list[QueueState] = several(QueueState, 2, "receive queue and transmit queue")
    service: ServiceState = nested(ServiceState, "the frame that is being sent")
    port: NicPortState = nested(NicPortState, "link, and frames on their way in")


class VirtioNet(VirtioDevice[VirtioNetState, NetCore]):
    """The core behind its function."""

    STATE = VirtioNetState

    def power_on(self) -> VirtioNetState:
        """The cable stays as it is."""
        record = super().power_on()
        record.port = self.core.port.power_on()
        return record

    def adopt(self, record: VirtioNetState) -> None:
        """The server's part, and the port's."""
        self.core.server.state = record.service
        self.core.port.adopt(record.port)

    def takes(self) -> Takes:
        """What the port takes."""
        return self.core.port.takes()
