# SPDX-License-Identifier: BSD-2-Clause
"""The LPC (ISA) bridge: routes the PCI interrupts to ISA interrupts.

Source: Intel 82371SB (PIIX3) datasheet, PIRQRC; E to H lie where the ICH family has them. Which
interrupts are level-triggered is up to ELCR, in the interrupt controller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from manager.bus.lines import Line, Wire, WiredOr
from manager.bus.pci import PciConfigState, PciFunction, PciHeader
from manager.bus.pci.state import upgrade_nested
from manager.bus.record import Record, ints, nested
from manager.devices.device import Device
from manager.lazy import dataclass

PIRQS = 8
PIRQ_REGISTERS = (0x60, 0x61, 0x62, 0x63, 0x68, 0x69, 0x6A, 0x6B)
"""Configuration registers of PIRQ A to H."""
PIRQ_DISABLED = 0x80
PIRQ_IRQ = 0x0F
PIRQ_BITS = PIRQ_DISABLED | PIRQ_IRQ
ROUTABLE_IRQS = (3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15)
"""The rest belong to the board: timer, keyboard, cascade, clock, coprocessor."""


@dataclass(slots=True)
class LpcState(Record):
    """The LPC bridge: configuration header and interrupt routing."""

    TYPE = "lpc"
    VERSION = 2
    UPGRADES = {1: upgrade_nested(1)}

    config: PciConfigState = nested(PciConfigState, "configuration header")
    pirq: list[int] = ints(PIRQS, 8, "routing registers of PIRQ A to H", PIRQ_DISABLED)


class Lpc(Device[LpcState]):
    """The interrupt router. Levels follow the routing even while they are asserted.

    `join_irq` gives a new share of an ISA interrupt line; `routing` is what firmware wrote to the
    registers of PIRQ A to H: an interrupt of ROUTABLE_IRQS, or PIRQ_DISABLED.
    """

    STATE = LpcState

    def __init__(
        self,
        header: PciHeader,
        join_irq: Callable[[int], Line],
        routing: Sequence[int] = (PIRQ_DISABLED,) * PIRQS,
    ) -> None:
        if len(routing) != PIRQS:
            raise ValueError(f"expected the routing of {PIRQS} PIRQs, found {len(routing)}")
        self.function = PciFunction(header, registers=self)
        self._routing = tuple(value & PIRQ_BITS for value in routing)
        self._irqs = {irq: join_irq(irq) for irq in ROUTABLE_IRQS}
        self._wires = [Wire(self._level_changed) for _ in range(PIRQS)]
        self._pirqs = [WiredOr(wire) for wire in self._wires]
        self.load(self.power_on())

    def pirq(self, index: int) -> Line:
        """A new share of PIRQ `index` (0-7 for A-H), for one interrupt pin."""
        return self._pirqs[index].join()

    def power_on(self) -> LpcState:
        """Routed as firmware left it."""
        return LpcState(config=self.function.power_on(), pirq=list(self._routing))

    def load(self, record: LpcState) -> None:
        """Take over the state."""
        self.function.state = record.config
        super().load(record)

    def settle(self) -> None:
        """Drive the ISA interrupts as the routing has it."""
        asserted = {
            routing & PIRQ_IRQ
            for wire, routing in zip(self._wires, self.state.pirq, strict=True)
            if wire.level and not routing & PIRQ_DISABLED
        }
        # Lower before raising, so that a level that moves is never on two interrupts.
        for irq, line in self._irqs.items():
            if irq not in asserted:
                line.set(False)
        for irq in asserted & self._irqs.keys():
            self._irqs[irq].set(True)

    def _level_changed(self, _level: bool) -> None:
        self.settle()

    def read_config(self, offset: int) -> int:
        """A routing register; what else a PIIX3 has reads as 0."""
        if offset in PIRQ_REGISTERS:
            return self.state.pirq[PIRQ_REGISTERS.index(offset)]
        return 0

    def write_config(self, offset: int, value: int) -> None:
        """A routing register."""
        if offset in PIRQ_REGISTERS:
            self.state.pirq[PIRQ_REGISTERS.index(offset)] = value & PIRQ_BITS
            self.settle()
