# SPDX-License-Identifier: BSD-2-Clause
"""The 16550A uart: COM ports behind the LPC bridge, and serial ports in a PCI slot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from manager.config.backends import Backend, NullBackend
from manager.config.table import SlotTable, Table
from manager.devices.claims import INTA, UNPLACED, IoBar, PciIdentity, PortRange
from manager.devices.node import DeviceNode, Place, fact

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services
    from manager.devices.uart.pace import Pace

PORTS = 8
COM_PORTS = {"com1": (0x3F8, 4), "com2": (0x2F8, 3), "com3": (0x3E8, 4), "com4": (0x2E8, 3)}
"""First port and interrupt of each COM port."""
IDENTITY = PciIdentity(0x1B36, 0x0002, 0x070002, 0x1AF4, 0x1100, 1)
"""The 16550A on a PCI card that QEMU made known; Linux and the BSDs attach to it by class or id."""

_BACKEND: Any = Field(
    default_factory=lambda: NullBackend(type="null"),
    description="The host's side of the port.",
    examples=["stdio", {"type": "tcp", "listen": "127.0.0.1:4555"}],
)
_PACE: Any = Field(
    default="host",
    description='"host": bytes go as fast as the host takes them. "baud": each takes as much '
    "virtual time as the divisor and the frame format say.",
    examples=["baud"],
)


class ComPort(Table):
    """A serial port at the place where PCs have it."""

    backend: Backend = _BACKEND
    pace: Literal["host", "baud"] = _PACE


class UartSlot(SlotTable):
    """A PCI serial port."""

    backend: Backend = _BACKEND
    pace: Literal["host", "baud"] = _PACE
    legacy: Literal["com1", "com2"] | None = Field(
        default=None,
        description="Deprecated: put the port where this COM port would be.",
        examples=["com1"],
    )


def _pace(name: str) -> Pace:
    from manager.devices.uart import pace

    return pace.BAUD if name == "baud" else pace.HOST


@dataclass(frozen=True, slots=True)
class IsaUartNode(DeviceNode):
    """A COM port."""

    TYPE = "isa-uart"
    SECTION = "lpc"
    NAMES = {
        name: f"Ports {base:#x}-{base + PORTS - 1:#x}, IRQ {irq}."
        for name, (base, irq) in COM_PORTS.items()
    }
    TABLE = ComPort

    pace: str = fact("host")

    @classmethod
    def claim(cls, table: ComPort, place: Place) -> IsaUartNode:
        """The COM port's usual place."""
        base, irq = COM_PORTS[place.name]
        ports = (PortRange(base, PORTS),)
        backend = table.backend.on_host()
        return cls(*place, ports=ports, irq=irq, pace=table.pace, backend=backend)

    @property
    def com_port(self) -> str:
        """Its name."""
        return self.port_name

    def build(self, board: Services) -> Device[Any]:
        """The uart and its channel."""
        from manager.devices.uart.isa import IsaUart

        channel = board.channel()
        uart = IsaUart(board.irq(), channel, board.clock, _pace(self.pace))
        channel.connect(uart.input_ready)
        board.claim(self.ports[0], uart)
        return uart


@dataclass(frozen=True, slots=True)
class PciUartNode(DeviceNode):
    """A serial port in a PCI slot."""

    TYPE = "pci-uart"
    SECTION = "slots"
    NAMES = {"uart": "A PCI serial port."}
    TABLE = UartSlot

    pace: str = fact("host")
    legacy: str | None = fact(None)
    """The COM port whose place it has."""
    fixed_irq: bool = fact(False)
    """Whether its pin is wired to an interrupt of its own instead of a PIRQ."""

    @classmethod
    def claim(cls, table: UartSlot, place: Place) -> PciUartNode:
        """A BAR and a pin; with `legacy` those of a COM port."""
        backend = table.backend.on_host()
        if table.legacy is None:
            bar = IoBar(0, UNPLACED, PORTS)
            irq = None
        else:
            base, irq = COM_PORTS[table.legacy]
            bar = IoBar(0, base, PORTS)
        return cls(
            *place,
            pci=IDENTITY,
            pin=INTA,
            bars=(bar,),
            irq=irq,
            pace=table.pace,
            legacy=table.legacy,
            fixed_irq=irq is not None,
            backend=backend,
        )

    @property
    def com_port(self) -> str | None:
        """The one whose place it has."""
        return self.legacy

    def build(self, board: Services) -> Device[Any]:
        """The uart and its channel."""
        from manager.devices.uart.pci import PciUart

        channel = board.channel()
        line = board.intx()
        uart = PciUart(board.header(), board.io, line, channel, board.clock, _pace(self.pace))
        channel.connect(uart.input_ready)
        board.attach(uart.function)
        return uart
