# SPDX-License-Identifier: BSD-2-Clause
"""The parts that every PC has, and the fixed facts of its buses.

Ports and interrupts are those of the IBM PC AT and of Intel's 440FX and PIIX3 datasheets; the
APICs sit where Intel's SDM (vol. 3, local APIC) and the 82093AA datasheet put them.
"""

from __future__ import annotations

from manager.graph.nodes import DeviceNode, MemoryRange, PciIdentity, PortRange

RESET_CONTROL = PortRange(0xCF9, 1)
"""Decoded inside the range of PCI configuration mechanism 1, so no range of its own."""
PCI_CONFIG = PortRange(0xCF8, 8)
"""CONFIG_ADDRESS and CONFIG_DATA."""

ELCR = PortRange(0x4D0, 2)
"""Edge or level, one bit an interrupt: PIIX3's part of the interrupt controller."""
SCI_IRQ = 9
"""ACPI's interrupt; nothing else may have it."""
PM_PORTS = PortRange(0x600, 16)
"""ACPI's PM1 event and control blocks and the PM timer."""
LAPIC = MemoryRange(0xFEE0_0000, 0x1000)
IOAPIC = MemoryRange(0xFEC0_0000, 0x1000)

BOARD = (
    DeviceNode("board.pic", "pic", ports=(PortRange(0x20, 2), PortRange(0xA0, 2), ELCR)),
    DeviceNode("board.pit", "pit", ports=(PortRange(0x40, 4), PortRange(0x61, 1)), irq=0),
    DeviceNode("board.rtc", "rtc", ports=(PortRange(0x70, 2),), irq=8),
    DeviceNode("board.keyboard", "keyboard", ports=(PortRange(0x60, 1), PortRange(0x64, 1)), irq=1),
    DeviceNode("board.port92", "port92", ports=(PortRange(0x92, 1),)),
    DeviceNode("board.reset", "reset-control", properties={"port": RESET_CONTROL.base}),
    DeviceNode("board.lapic", "lapic", memory=(LAPIC,)),
    DeviceNode("board.ioapic", "ioapic", memory=(IOAPIC,)),
    DeviceNode("board.acpi-pm", "acpi-pm", ports=(PM_PORTS,), irq=SCI_IRQ),
)

HOST_BRIDGE = PciIdentity(0x8086, 0x1237, 0x060000)
"""Intel 440FX."""
LPC_BRIDGE = PciIdentity(0x8086, 0x7000, 0x060100)
"""Intel PIIX3."""
PCI_UART = PciIdentity(0x1B36, 0x0002, 0x070002, 0x1AF4, 0x1100, 1)
"""The 16550A on a PCI card that QEMU made known; Linux and the BSDs attach to it by class or id."""

COM_PORTS = {"com1": (0x3F8, 4), "com2": (0x2F8, 3), "com3": (0x3E8, 4), "com4": (0x2E8, 3)}
"""First port and interrupt of each COM port."""
UART_PORTS = 8

PIRQ_IRQS = (10, 11, 5, 10)
"""The interrupts of PIRQ A to D: none that a COM port or the board uses; A and D share one."""
PIRQ_NAMES = "ABCD"
INTA = 1
BAR_FLOOR = 0xC000
"""I/O BARs are placed from here up, above all ports of the ISA age."""


def pirq_of(slot: int, pin: int) -> int:
    """The PIRQ (0-3 for A-D) that a pin (1-4) of a slot is wired to."""
    return (slot + pin - 1) % len(PIRQ_IRQS)
