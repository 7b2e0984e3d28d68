# SPDX-License-Identifier: BSD-2-Clause
"""The window in configuration space through which firmware reaches BARs that are not mapped.

Source: VIRTIO 1.2, section 4.1.4.9, VIRTIO_PCI_CAP_PCI_CFG. The guest names a BAR, an offset and a
length; then the data register is that place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from manager.bus.pci.capabilities import HEAD, ID_VENDOR
from manager.bus.record import Record, octets
from manager.lazy import dataclass

CAP_PCI_ACCESS = 5
LENGTH = 20
BAR, OFFSET, ACCESS_LENGTH, DATA = 4, 8, 12, 16
"""Places in the capability, from its head on."""
_WRITABLE = {BAR, *range(OFFSET, DATA)}

Read = Callable[[int, int], int]
Write = Callable[[int, int, int], None]


@dataclass(slots=True)
class WindowState(Record):
    """The window's registers, as they lie in configuration space."""

    TYPE: ClassVar[str] = "virtio-window"

    registers: bytearray = octets(
        LENGTH, LENGTH, "from the capability's head on; the last four are data", bytes(LENGTH)
    )


class Window:
    """A PCI capability. `behind` has how to read and write each BAR, and how long it is."""

    def __init__(self, behind: dict[int, tuple[Read, Write, int]]) -> None:
        self.id = ID_VENDOR
        self.length = LENGTH - HEAD
        self.state = WindowState()
        self._behind = behind
        self._written = False

    def read_config(self, offset: int) -> int:
        """Read one byte. The first of the data register reads all of the place in the BAR."""
        at = offset + HEAD
        if at == HEAD:
            return LENGTH
        if at == HEAD + 1:
            return CAP_PCI_ACCESS
        if at == DATA and (found := self._place()) is not None:
            read, _, place, size = found
            value = read(place, size).to_bytes(size, "little")
            self.state.registers[DATA : DATA + size] = value
        return self.state.registers[at]

    def write_config(self, offset: int, value: int) -> None:
        """Write one byte; what goes to the data register waits for the others of its access."""
        at = offset + HEAD
        if at >= DATA:
            self._written = True
        elif at not in _WRITABLE:
            return
        self.state.registers[at] = value

    def settle(self) -> None:
        """All bytes of an access are written."""
        written, self._written = self._written, False
        if written and (found := self._place()) is not None:
            _, write, place, size = found
            data = self.state.registers[DATA : DATA + size]
            write(place, size, int.from_bytes(data, "little"))

    def _place(self) -> tuple[Read, Write, int, int] | None:
        registers = self.state.registers
        at = int.from_bytes(registers[OFFSET : OFFSET + 4], "little")
        size = int.from_bytes(registers[ACCESS_LENGTH : ACCESS_LENGTH + 4], "little")
        found = self._behind.get(registers[BAR])
        if found is None or size not in (1, 2, 4) or at % size or at + size > found[2]:
            return None
        return found[0], found[1], at, size
