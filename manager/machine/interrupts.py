# SPDX-License-Identifier: BSD-2-Clause
"""The way of an interrupt: device pin -> 8259 pair and I/O APIC -> local APIC -> CPU.

Every ISA interrupt reaches both controllers; the guest programs the one it wants and masks the
other. The timer's IRQ 0 is pin 2 of the I/O APIC, as on every PC, and PIRQ A-H have pins 16-23
of their own beside what the LPC bridge routes them to. Messages of PCI functions go to the local
APIC at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from manager.bus.clock import Clock
from manager.bus.grants import NO_GRANTS, Grants
from manager.bus.lines import Fork, Line, WiredOr
from manager.bus.messages import DELIVERY_SHIFT, FIXED, LOWEST_PRIORITY, NMI, Message
from manager.devices.ioapic.device import IoApic
from manager.devices.lapic.bus import ApicBus
from manager.devices.lapic.device import CpuPins, Lapic
from manager.devices.pic.device import Pic

TIMER_PIN = 2
FIRST_PIRQ_PIN = 16
IOAPIC_SELECT, IOAPIC_WINDOW = 0x00, 0x10
IOAPIC_ID_REGISTER = 0


class LapicPage:
    """The page of registers, at which each CPU finds its own local APIC."""

    __slots__ = ("_current", "_lapics")

    def __init__(self, lapics: Sequence[Lapic], current: Callable[[], int]) -> None:
        self._lapics = lapics
        self._current = current

    def read_mmio(self, offset: int, size: int) -> int:
        """Read a register of the CPU that asks."""
        return self._lapics[self._current()].read_mmio(offset, size)

    def write_mmio(self, offset: int, size: int, value: int) -> None:
        """Write a register of the CPU that asks."""
        self._lapics[self._current()].write_mmio(offset, size, value)


class Interrupts:
    """The controllers, wired to each other and to the CPUs, and the lines into them.

    `current` tells which CPU accesses a register. The 8259A pair reaches the first CPU only.
    """

    def __init__(
        self,
        clock: Clock,
        cpus: Sequence[CpuPins],
        current: Callable[[], int],
        *,
        virtual_wire: bool,
        grants: Grants = NO_GRANTS,
    ) -> None:
        self.bus = ApicBus()
        self.lapics = [
            Lapic(
                clock,
                pins,
                bus=self.bus,
                apic_id=number,
                pic_acknowledge=lambda: self.pic.acknowledge(),
                eoi_broadcast=lambda vector: self.ioapic.eoi(vector),
                virtual_wire=virtual_wire and number == 0,
                grants=grants,
            )
            for number, pins in enumerate(cpus)
        ]
        one = len(cpus) == 1
        self.lapic_page = self.lapics[0] if one else LapicPage(self.lapics, current)
        self.ioapic = IoApic(self.bus.deliver, grants)
        self.pic = Pic(self.lapics[0].lint0, grants)
        self._ioapic_id = len(cpus)
        self._irqs: dict[int, WiredOr] = {}
        self._pirq_pins: dict[int, WiredOr] = {}

    @property
    def may_raise_nmi(self) -> bool:
        """Whether an NMI can come without a CPU's doing."""
        return self.ioapic.may_send_nmi or any(lapic.may_send_nmi for lapic in self.lapics)

    def deliver(self, message: Message) -> None:
        """Hand a message to the local APICs that it is for; SMI, INIT and ExtINT get lost."""
        if message.delivery in (FIXED, LOWEST_PRIORITY, NMI):
            mode = message.delivery << DELIVERY_SHIFT
            place = (message.destination, message.logical)
            self.bus.deliver(mode, message.vector, message.level, *place)

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
        """What firmware programs: which ISA interrupts are level-triggered, the I/O APIC's id.

        ACPI and MP tables call it by that number, the first that no CPU has.
        """
        self.ioapic.write_mmio(IOAPIC_SELECT, 4, IOAPIC_ID_REGISTER)
        self.ioapic.write_mmio(IOAPIC_WINDOW, 4, self._ioapic_id << 24)
        for controller in range(2):
            mask = sum(1 << (irq & 7) for irq in level_irqs if irq >> 3 == controller)
            self.pic.elcr.write_port(controller, mask)
