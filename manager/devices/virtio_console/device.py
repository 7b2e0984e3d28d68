# SPDX-License-Identifier: BSD-2-Clause
"""virtio-console in a PCI slot."""

from __future__ import annotations

from manager.bus.record import Record, nested, several
from manager.devices.virtio.composed import VirtioDevice, VirtioPciState
from manager.devices.virtio.device import VirtioState
from manager.devices.virtio.queue import QueueState
from manager.devices.virtio.server import ServiceState
from manager.devices.virtio_console.ports import MOST_PORTS, QUEUES, ConsoleCore, PortState
from manager.lazy import dataclass


@dataclass(slots=True)
class VirtioConsoleState(Record):
    """A virtio-console device."""

    TYPE = "virtio-console"

    pci: VirtioPciState = nested(VirtioPciState, "PCI function")
    virtio: VirtioState = nested(VirtioState, "what the driver has negotiated")
    queues: list[QueueState] = several(QueueState, QUEUES, "queues, in virtio's order")
    control: ServiceState = nested(ServiceState, "the control message that is being read")
    ports: list[PortState] = several(PortState, MOST_PORTS, "the ports, also those not there")


class VirtioConsole(VirtioDevice[VirtioConsoleState, ConsoleCore]):
    """The core behind its function."""

    STATE = VirtioConsoleState

    def adopt(self, record: VirtioConsoleState) -> None:
        """The control queue's part, and the ports'."""
        self.core.adopt_ports(record.control, record.ports)
