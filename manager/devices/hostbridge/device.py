# SPDX-License-Identifier: BSD-2-Clause
"""The host bridge: the PC's way into PCI configuration space, and a function itself.

Sources: PCI Local Bus Specification 3.0, section 3.2.2.3.2 (configuration mechanism 1); Intel
82441FX datasheet for the registers that firmware expects to keep what it writes (PAM, SMRAM).
"""

from __future__ import annotations

from manager.bus.pci import PciBus, PciConfigState, PciFunction, PciHeader
from manager.bus.pci.registers import CONFIG_SIZE, DEVICE_SPECIFIC
from manager.bus.pci.state import upgrade_nested
from manager.bus.record import Record, nested, octets, uint
from manager.devices.device import Device
from manager.lazy import dataclass

CONFIG_DATA = 4  # 0xCFC-0xCFF

ADDRESS_ENABLE = 0x80000000
ADDRESS_BITS = 0x80FFFFFC

SMRAM = 0x72
SMRAM_SEGMENT = 0x02  # hard-wired: SMRAM sits at 0xA0000
REGISTERS_LENGTH = CONFIG_SIZE - DEVICE_SPECIFIC
_POWER_ON = bytes(SMRAM_SEGMENT if at == SMRAM else 0 for at in range(DEVICE_SPECIFIC, CONFIG_SIZE))


@dataclass(slots=True)
class HostBridgeState(Record):
    """The host bridge: configuration header, own registers, address latch."""

    TYPE = "hostbridge"
    VERSION = 2
    UPGRADES = {1: upgrade_nested(1)}

    config: PciConfigState = nested(PciConfigState, "configuration header")
    address: int = uint(32, "CONFIG_ADDRESS, the dword last written to port 0xCF8")
    registers: bytearray = octets(
        REGISTERS_LENGTH,
        REGISTERS_LENGTH,
        "configuration registers 0x40-0xFF: storage without effect",
        _POWER_ON,
    )


class HostBridge(Device[HostBridgeState]):
    """Configuration mechanism 1, for the eight ports at 0xCF8.

    Bytes of CONFIG_ADDRESS are not the bridge's: the reset register is at 0xCF9.
    """

    STATE = HostBridgeState

    def __init__(self, header: PciHeader, bus: PciBus) -> None:
        self.function = PciFunction(header, registers=self)
        self._bus = bus
        self.load(self.power_on())

    def power_on(self) -> HostBridgeState:
        """No address latched, all RAM open."""
        return HostBridgeState(config=self.function.power_on())

    def load(self, record: HostBridgeState) -> None:
        """Take over the state."""
        self.function.state = record.config
        super().load(record)

    def read_wide(self, offset: int, size: int) -> int:
        """IN from 0xCF8 + `offset`."""
        state = self.state
        if offset >= CONFIG_DATA:
            if state.address & ADDRESS_ENABLE and not state.address & 0xFF0000:
                return self._bus.read(*self._target(offset), size)
        elif offset == 0 and size == 4:
            return state.address
        return (1 << 8 * size) - 1

    def write_wide(self, offset: int, size: int, value: int) -> None:
        """OUT to 0xCF8 + `offset`."""
        state = self.state
        if offset >= CONFIG_DATA:
            if state.address & ADDRESS_ENABLE and not state.address & 0xFF0000:
                self._bus.write(*self._target(offset), size, value)
        elif offset == 0 and size == 4:
            state.address = value & ADDRESS_BITS

    def _target(self, offset: int) -> tuple[int, int, int]:
        """Slot, function and register that the latch and the data port select."""
        address = self.state.address
        return address >> 11 & 0x1F, address >> 8 & 7, address & 0xFC | offset & 3

    def read_config(self, offset: int) -> int:
        """A register of the bridge's own."""
        return self.state.registers[offset - DEVICE_SPECIFIC]

    def write_config(self, offset: int, value: int) -> None:
        """A register of the bridge's own."""
        self.state.registers[offset - DEVICE_SPECIFIC] = value
