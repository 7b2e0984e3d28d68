# SPDX-License-Identifier: BSD-2-Clause
"""Messages between the APICs of several CPUs: who gets what."""

from __future__ import annotations

import pytest

from manager.bus.clock import Clock, ManualTime
from manager.bus.lines import Wire
from manager.devices.ioapic.device import IoApic
from manager.devices.lapic.bus import ApicBus
from manager.devices.lapic.device import CpuPins, Lapic

ID, LDR, DFR, SVR, IRR, ICR_LOW, ICR_HIGH, TPR, EOI = (
    0x20, 0xD0, 0xE0, 0xF0, 0x200, 0x300, 0x310, 0x80, 0xB0,
)  # fmt: skip
LOGICAL, ASSERT, LEVEL = 0x800, 0x4000, 0x8000
FIXED, LOWEST, SMI, NMI, INIT, STARTUP = 0x000, 0x100, 0x200, 0x400, 0x500, 0x600
SELF, ALL, OTHERS = 0x40000, 0x80000, 0xC0000
REMOTE_READ = 0x300
VECTOR = 0x41


class Apics:
    """Four CPUs' local APICs and an I/O APIC; what reaches the CPUs is noted."""

    def __init__(self, count: int = 4) -> None:
        self.seen: list[tuple[object, ...]] = []
        self.bus = ApicBus()
        clock = Clock(ManualTime())
        self.ioapic = IoApic(self.bus.deliver)
        self.lapics = [
            Lapic(
                clock,
                self._pins(number),
                bus=self.bus,
                apic_id=number,
                pic_acknowledge=lambda: 0,
                eoi_broadcast=self.ioapic.eoi,
                virtual_wire=number == 0,
            )
            for number in range(count)
        ]
        for number in range(count):
            self.write(number, SVR, 0x1FF)
            self.write(number, LDR, 1 << 24 + number)

    def _pins(self, number: int) -> CpuPins:
        return CpuPins(
            intr=Wire(lambda level: None),
            nmi=lambda: self.seen.append(("nmi", number)),
            init=lambda: self.seen.append(("init", number)),
            start=lambda vector: self.seen.append(("start", number, vector)),
            sent=lambda: self.seen.append(("sent", number)),
        )

    def write(self, cpu: int, register: int, value: int) -> None:
        self.lapics[cpu].write_mmio(register, 4, value)

    def read(self, cpu: int, register: int) -> int:
        return self.lapics[cpu].read_mmio(register, 4)

    def send(self, cpu: int, command: int, destination: int = 0) -> None:
        self.write(cpu, ICR_HIGH, destination << 24)
        self.write(cpu, ICR_LOW, command)

    def requested(self, vector: int = VECTOR) -> list[int]:
        """The CPUs of which the vector is requested."""
        register, bit = IRR + (vector >> 5) * 0x10, 1 << (vector & 31)
        return [n for n in range(len(self.lapics)) if self.read(n, register) & bit]


@pytest.fixture
def apics() -> Apics:
    return Apics()


@pytest.mark.parametrize(
    ("command", "destination", "receivers"),
    [
        (VECTOR, 0, [0]),
        (VECTOR, 2, [2]),
        (VECTOR, 9, []),
        (VECTOR, 0xFF, [0, 1, 2, 3]),
        (VECTOR | LOGICAL, 0b0101, [0, 2]),
        (VECTOR | LOGICAL, 0b11110000, []),
        (VECTOR | LOGICAL, 0xFF, [0, 1, 2, 3]),
        (VECTOR | SELF, 3, [1]),
        (VECTOR | ALL, 0, [0, 1, 2, 3]),
        (VECTOR | OTHERS, 0, [0, 2, 3]),
    ],
)
def test_a_fixed_interrupt_reaches_whom_it_names(
    apics: Apics, command: int, destination: int, receivers: list[int]
) -> None:
    apics.send(1, command, destination)

    assert apics.requested() == receivers
    told = [("sent", 1)] if set(receivers) - {1} else []
    assert apics.seen == told


def test_clusters(apics: Apics) -> None:
    for number, ldr in enumerate((0x11, 0x12, 0x21, 0x22)):
        apics.write(number, DFR, 0)
        apics.write(number, LDR, ldr << 24)

    apics.send(0, VECTOR | LOGICAL, 0x13)
    apics.send(0, VECTOR + 1 | LOGICAL, 0xF2)

    assert apics.requested() == [0, 1]
    assert apics.requested(VECTOR + 1) == [1, 3]


def test_lowest_priority_goes_to_the_one_that_does_the_least(apics: Apics) -> None:
    for number, priority in enumerate((0x50, 0x30, 0x20, 0x20)):
        apics.write(number, TPR, priority)
    apics.send(0, VECTOR | LOWEST | LOGICAL, 0xFF)
    first = apics.requested()
    apics.write(2, SVR, 0xFF)
    apics.write(3, TPR, 0x60)

    apics.send(0, VECTOR + 1 | LOWEST | LOGICAL, 0xFF)

    assert first == [2]
    assert apics.requested(VECTOR + 1) == [1]


def test_an_nmi_to_all_others(apics: Apics) -> None:
    apics.send(2, NMI | OTHERS)

    assert apics.seen == [("nmi", 0), ("nmi", 1), ("nmi", 3), ("sent", 2)]


def test_init_resets_the_local_apic_and_startup_names_a_page(apics: Apics) -> None:
    apics.send(0, INIT | ASSERT | LEVEL, 3)
    apics.send(0, INIT | LEVEL, 3)  # de-assert
    apics.send(0, STARTUP | 0x9A, 3)

    assert apics.seen == [("init", 3), ("sent", 0), ("start", 3, 0x9A), ("sent", 0)]
    assert apics.read(3, SVR) == 0xFF
    assert apics.read(3, ID) == 3 << 24
    assert apics.read(2, SVR) == 0x1FF


@pytest.mark.parametrize("mode", [SMI, REMOTE_READ, 0x700])
def test_what_has_no_meaning_here_is_lost(apics: Apics, mode: int) -> None:
    apics.send(0, mode | VECTOR, 1)

    assert apics.requested() == []
    assert apics.seen in ([], [("sent", 0)])


def test_one_that_is_switched_off_gets_nothing(apics: Apics) -> None:
    apics.write(1, SVR, 0xFF)

    apics.send(0, VECTOR | OTHERS)

    assert apics.requested() == [2, 3]


def test_the_io_apic_reaches_any_cpu_and_its_eoi_comes_back(apics: Apics) -> None:
    ioapic = apics.ioapic
    line = ioapic.line(5)

    def route(low: int, destination: int) -> None:
        for register, value in ((0x1B, destination << 24), (0x1A, low)):
            ioapic.write_mmio(0, 4, register)
            ioapic.write_mmio(0x10, 4, value)

    route(VECTOR | LEVEL, 3)
    line.set(True)
    first = apics.requested()
    assert apics.lapics[3].acknowledge() == VECTOR
    line.set(False)
    apics.write(3, EOI, 0)
    route(VECTOR + 1 | LOWEST | LOGICAL, 0b0110)
    line.set(True)
    route(NMI, 2)
    line.set(False)
    line.set(True)

    assert first == [3]
    assert apics.requested(VECTOR + 1) == [1]
    assert apics.seen == [("nmi", 2)]


def test_only_the_first_boots() -> None:
    apics = Apics(2)

    assert [lapic.read_base() for lapic in apics.lapics] == [0xFEE00900, 0xFEE00800]
