# SPDX-License-Identifier: BSD-2-Clause
"""The power management function of a PIIX4: where firmware looks for ACPI's ports.

The ports themselves are the board's (acpi_pm.py) and cannot be moved. SMIs count as set up
already: there is no system management mode, and firmware that thinks so leaves it alone.
Source: Intel 82371AB (PIIX4) datasheet, function 3.
"""

from __future__ import annotations

import struct
from typing import ClassVar

from manager.bus.pci import PciConfigState, PciFunction, PciHeader
from manager.bus.pci.registers import CONFIG_SIZE
from manager.bus.pci.state import upgrade_nested
from manager.bus.record import Record, nested
from manager.devices.device import Device
from manager.lazy import dataclass

PMBA = 0x40  # base of the power management ports
DEVACTB = 0x58
PMREGMISC = 0x80
PMBA_IO = 0x00000001
DEVACTB_APMC_ENABLE = 1 << 25
PMREGMISC_IO_ENABLE = 0x01


@dataclass(slots=True)
class Piix4PmState(Record):
    """The configuration header; the function's own registers are fixed."""

    TYPE: ClassVar[str] = "piix4-pm"
    VERSION = 2
    UPGRADES = {1: upgrade_nested(1)}

    config: PciConfigState = nested(PciConfigState, "configuration header")


class Piix4Pm(Device[Piix4PmState]):
    """The function; `base` is the first power management port."""

    STATE = Piix4PmState

    def __init__(self, header: PciHeader, base: int) -> None:
        self.function = PciFunction(header, registers=self)
        registers = bytearray(CONFIG_SIZE)
        struct.pack_into("<I", registers, PMBA, base | PMBA_IO)
        struct.pack_into("<I", registers, DEVACTB, DEVACTB_APMC_ENABLE)
        registers[PMREGMISC] = PMREGMISC_IO_ENABLE
        self._registers = bytes(registers)
        self.load(self.power_on())

    def power_on(self) -> Piix4PmState:
        """Ports in place and enabled."""
        return Piix4PmState(config=self.function.power_on())

    def load(self, record: Piix4PmState) -> None:
        """Take over the state."""
        self.function.state = record.config
        super().load(record)

    def read_config(self, offset: int) -> int:
        """A register of the function's own."""
        return self._registers[offset]

    def write_config(self, offset: int, value: int) -> None:
        """Nothing can be changed."""
