# SPDX-License-Identifier: BSD-2-Clause
"""The 16550A uart: COM ports behind the LPC bridge, and serial ports in a PCI slot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from manager.devices.claims import INTA, UNPLACED, IoBar, PciIdentity, PortRange
from manager.devices.node import DeviceNode, Place, fact
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services
    from manager.devices.uart.pace import Pace
    from manager.devices.uart.table import ComPort, UartSlot

PORTS = 8
COM_PORTS = {"com1": (0x3F8, 4), "com2": (0x2F8, 3), "com3": (0x3E8, 4), "com4": (0x2E8, 3)}
"""First port and interrupt of each COM port."""
IDENTITY = PciIdentity(0x1B36, 0x0002, 0x070002, 0x1AF4, 0x1100, 1)
"""The 16550A on a PCI card that QEMU made known; Linux and the BSDs attach to it by class or id."""


def _pace(name: str) -> Pace:
    from manager.devices.uart import pace

    return pace.BAUD if name == "baud" else pace.HOST


def _about(state: Mapping[str, Any]) -> str:
    """Registers, frame format and what is pending, of a uart16550 record."""
    from manager.bus.record import named_bits, names_of
    from manager.devices.uart.uart16550 import Uart16550State

    parts = [
        f"{name.upper()}={named_bits(names_of(Uart16550State, name), state[name])}"
        for name in ("ier", "mcr")
    ]
    lcr = state["lcr"]
    parity = "OEMS"[lcr >> 4 & 3] if lcr & 8 else "N"
    parts.append(f"{5 + (lcr & 3)}{parity}{2 if lcr & 4 else 1}")
    parts.append(f"divisor {state['dlm'] << 8 | state['dll']}")
    parts.append("FIFO on" if state["fcr"] & 1 else "FIFO off")
    count = len(state["received"])
    parts.append(f"{count} byte{'' if count == 1 else 's'} in RX FIFO")
    pending = {
        "thre_pending": "THRE interrupt pending",
        "timeout_pending": "time-out pending",
        "overrun": "overrun",
    }
    parts += [text for name, text in pending.items() if state[name]]
    return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class IsaUartNode(DeviceNode):
    """A COM port."""

    TYPE = "isa-uart"
    SECTION = "lpc"
    NAMES = {
        name: f"Ports {base:#x}-{base + PORTS - 1:#x}, IRQ {irq}."
        for name, (base, irq) in COM_PORTS.items()
    }
    pace: str = fact("host")
    out2: str = fact("gates")

    @classmethod
    def table(cls) -> type[ComPort]:
        """A COM port's keys."""
        from manager.devices.uart.table import ComPort

        return ComPort

    @classmethod
    def claim(cls, table: ComPort, place: Place) -> IsaUartNode:
        """The COM port's usual place."""
        base, irq = COM_PORTS[place.name]
        ports = (PortRange(base, PORTS),)
        backend = table.backend.on_host()
        return cls(*place, ports=ports, irq=irq, backend=backend, pace=table.pace, out2=table.out2)

    @property
    def com_port(self) -> str:
        """Its name."""
        return self.id.removeprefix("lpc.")

    @staticmethod
    def about(state: Mapping[str, Any]) -> str:
        """The uart's registers."""
        return _about(state)

    def build(self, board: Services) -> Device[Any]:
        """The uart and its channel."""
        from manager.devices.uart.isa import IsaUart

        channel = board.channel()
        gated = self.out2 == "gates"
        pace = _pace(self.pace)
        uart = IsaUart(board.irq(), channel, board.clock, pace, board.grants, gated=gated)
        channel.connect(uart.input_ready)
        board.claim(self.ports[0], uart)
        return uart


@dataclass(frozen=True, slots=True)
class PciUartNode(DeviceNode):
    """A serial port in a PCI slot."""

    TYPE = "pci-uart"
    SECTION = "slots"
    NAMES = {"uart": "A PCI serial port."}
    pace: str = fact("host")
    legacy: str | None = fact(None)
    """The COM port whose place it has."""
    fixed_irq: bool = fact(False)
    """Whether its pin is wired to an interrupt of its own instead of a PIRQ."""

    @classmethod
    def table(cls) -> type[UartSlot]:
        """The keys of a uart in a slot."""
        from manager.devices.uart.table import UartSlot

        return UartSlot

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

    def keys(self) -> dict[str, Any]:
        """Pace and legacy; the fixed interrupt comes with the latter."""
        return {"pace": self.properties.get("pace"), "legacy": self.legacy}

    @property
    def com_port(self) -> str | None:
        """The one whose place it has."""
        return self.legacy

    @staticmethod
    def about(state: Mapping[str, Any]) -> str:
        """The uart's registers."""
        return _about(state["uart"])

    def build(self, board: Services) -> Device[Any]:
        """The uart and its channel."""
        from manager.devices.uart.pci import PciUart

        channel = board.channel()
        line = board.intx()
        wires = (line, channel, board.clock, _pace(self.pace), board.grants)
        uart = PciUart(board.header(), board.io, *wires)
        channel.connect(uart.input_ready)
        board.attach(uart.function)
        return uart
