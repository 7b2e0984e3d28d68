# SPDX-License-Identifier: BSD-2-Clause
"""How interrupts travel: device pin -> 8259 pair and I/O APIC -> local APIC -> CPU.

Every ISA interrupt reaches both controllers; the guest programs the one it wants and masks the
other. The timer's IRQ 0 is pin 2 of the I/O APIC, as on every PC, and PIRQ A-H have pins 16-23
of their own beside what the LPC bridge routes them to. Messages of PCI functions go to the local
APIC at once.
"""

from __future__ import annotations

from collections.abc import Callable

from manager.bus.clock import Clock
from manager.bus.lines import Fork, Line, WiredOr
from manager.bus.messages import FIXED, LOWEST_PRIORITY, NMI, Message
from manager.devices.ioapic.device import IoApic
from manager.devices.lapic.device import Lapic
from manager.devices.pic.device import Pic

TIMER_PIN = 2
FIRST_PIRQ_PIN = 16
IOAPIC_SELECT, IOAPIC_WINDOW = 0x00, 0x10
IOAPIC_ID_REGISTER = 0
IOAPIC_ID = 1
"""What the ACPI and MP tables call it."""


class Interrupts:
    """The three controllers, wired to each other, and the lines into them."""

    def __init__(
        self, clock: Clock, intr: Line, nmi: Callable[[], None], *, virtual_wire: bool
    ) -> None:
        self.lapic = Lapic(
            clock,
            intr,
            nmi=nmi,
            pic_acknowledge=lambda: self.pic.acknowledge(),
            eoi_broadcast=lambda vector: self.ioapic.eoi(vector),
            virtual_wire=virtual_wire,
        )
        self._nmi = nmi
        self.ioapic = IoApic(self.lapic.accept, self.lapic.is_addressed, nmi)
        self.pic = Pic(self.lapic.lint0)
        self._irqs: dict[int, WiredOr] = {}
        self._pirq_pins: dict[int, WiredOr] = {}

    @property
    def may_raise_nmi(self) -> bool:
        """Whether an NMI can come without the CPU's doing."""
        return self.ioapic.may_send_nmi or self.lapic.may_send_nmi

    def deliver(self, message: Message) -> None:
        """Hand a message to the local APICs that it is for; SMI, INIT and ExtINT get lost."""
        if not self.lapic.is_addressed(message.destination, message.logical):
            return
        if message.delivery in (FIXED, LOWEST_PRIORITY):
            self.lapic.accept(message.vector, message.level)
        elif message.delivery == NMI:
            self._nmi()

    def irq(self, number: int) -> Line:
        """A new share of an ISA interrupt line."""
        if number not in self._irqs:
            pin = self.ioapic.line(number or TIMER_PIN)
            self._irqs[number] = WiredOr(Fork(self.pic.line(number), pin))
        return self._irqs[number].join()

    def pirq_pin(self, index: int) -> Line:
        """A new share of the I/O APIC pin of a PIRQ (0-7 for A-H)."""
        if index not in self._pirq_pins:
            self._pirq_pins[index] = WiredOr(self.ioapic.line(FIRST_PIRQ_PIN + index))
        return self._pirq_pins[index].join()

    def program(self, level_irqs: set[int]) -> None:
        """What firmware programs: which ISA interrupts are level-triggered, the I/O APIC's id."""
        self.ioapic.write_mmio(IOAPIC_SELECT, 4, IOAPIC_ID_REGISTER)
        self.ioapic.write_mmio(IOAPIC_WINDOW, 4, IOAPIC_ID << 24)
        for controller in range(2):
            mask = sum(1 << (irq & 7) for irq in level_irqs if irq >> 3 == controller)
            self.pic.elcr.write_port(controller, mask)
