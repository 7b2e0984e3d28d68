# SPDX-License-Identifier: BSD-2-Clause
"""The PCI function by which firmware finds ACPI's ports."""

from __future__ import annotations

from manager.bus.pci import PciHeader
from manager.bus.record import from_plain, to_plain
from manager.devices.piix4_pm import IDENTITY
from manager.devices.piix4_pm.device import Piix4Pm, Piix4PmState

PMBA, DEVACTB, PMREGMISC = 0x40, 0x58, 0x80
INTERRUPT_LINE = 0x3C


def function() -> Piix4Pm:
    return Piix4Pm(PciHeader(IDENTITY), 0x600)


def test_ports_are_in_place_and_enabled() -> None:
    pci = function().function

    assert pci.read(0, 4) == 0x7113_8086
    assert pci.read(PMBA, 4) == 0x601
    assert pci.read(PMREGMISC, 1) & 1


def test_smi_by_software_counts_as_set_up() -> None:
    assert function().function.read(DEVACTB, 4) == 1 << 25


def test_ports_cannot_be_moved() -> None:
    pci = function().function

    for register in (PMBA, DEVACTB, PMREGMISC):
        pci.write(register, 4, 0xB001)

    assert pci.read(PMBA, 4) == 0x601
    assert pci.read(PMREGMISC, 1) == 1


def test_header_survives_a_save_and_not_a_reset() -> None:
    old, new = function(), function()
    old.function.write(INTERRUPT_LINE, 1, 9)

    plain = to_plain(old.save())
    new.load(from_plain(Piix4PmState, plain, Piix4PmState.VERSION, "board.pm"))
    restored = new.function.read(INTERRUPT_LINE, 1)
    new.reset()

    assert restored == 9
    assert new.function.read(INTERRUPT_LINE, 1) == 0
