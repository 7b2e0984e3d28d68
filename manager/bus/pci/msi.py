# SPDX-License-Identifier: BSD-2-Clause
"""MSI: interrupts by message, with all registers in configuration space.

A message is a write of data to an address, both chosen by the guest. Source: PCI Local Bus
Specification 3.0, section 6.8.1.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from manager.bus.pci.capabilities import ID_MSI
from manager.bus.pci.state import MsiState

VECTORS = 32
CONTROL_ENABLE = 0x0001
CONTROL_CAPABLE_SHIFT = 1  # log2 of how many vectors the function has
CONTROL_IN_USE_SHIFT = 4  # and of how many the guest lets it use
CONTROL_IN_USE = 0x7 << CONTROL_IN_USE_SHIFT
CONTROL_64 = 0x0080
CONTROL_MASKABLE = 0x0100
CONTROL_WRITABLE = CONTROL_ENABLE | CONTROL_IN_USE
ADDRESS_BITS = (1 << 64) - 4

REGISTERS = struct.Struct("<H Q H xx I I")
"""Control, address, data, mask, pending. Without masks a function has the first three."""
WITHOUT_MASKS = 12

Send = Callable[[int, int], None]
"""(address, data): writes a message, if the function may."""


class Msi:
    """The capability of a function with `vectors` (1, 2, 4 ... 32) messages.

    With `maskable`, a message that is held back is pending until it is not any more.
    """

    __slots__ = ("_fixed", "_mask_bits", "id", "length", "send", "state", "vectors")

    def __init__(self, vectors: int = 1, *, maskable: bool = True) -> None:
        if vectors not in (1, 2, 4, 8, 16, 32):
            raise ValueError(f"a function cannot have {vectors} MSI vectors")
        self.id = ID_MSI
        self.length = REGISTERS.size if maskable else WITHOUT_MASKS
        self.vectors = vectors
        self._fixed = CONTROL_64 | vectors.bit_length() - 1 << CONTROL_CAPABLE_SHIFT
        self._fixed |= CONTROL_MASKABLE if maskable else 0
        self._mask_bits = (1 << vectors) - 1 if maskable else 0
        self.state = MsiState()
        self.send: Send = nowhere

    @property
    def enabled(self) -> bool:
        """Whether the guest wants messages of this kind."""
        return bool(self.state.control & CONTROL_ENABLE)

    def signal(self, vector: int) -> None:
        """Send the message of a vector (0 and up), or note that it waits.

        Where the guest lets the function use fewer vectors, they share those few.
        """
        state = self.state
        in_use = 1 << ((state.control & CONTROL_IN_USE) >> CONTROL_IN_USE_SHIFT)
        in_use = min(in_use, self.vectors)
        vector %= in_use
        if state.mask & self._mask_bits & 1 << vector:
            state.pending |= 1 << vector
        else:
            state.pending &= ~(1 << vector)
            self.send(state.address, state.data & -in_use | vector)

    def armed(self) -> Iterator[tuple[int, int]]:
        """(address, data) of what may be sent as the registers are now."""
        if self.enabled:
            yield self.state.address, self.state.data

    def settle(self) -> None:
        """Send what waits and is not held back any more."""
        state = self.state
        due = state.pending & ~state.mask
        if due and self.enabled:
            for vector in range(VECTORS):
                if due >> vector & 1:
                    state.pending &= ~(1 << vector)
                    self.signal(vector)

    def _registers(self) -> bytearray:
        state = self.state
        values = (state.address, state.data, state.mask, state.pending)
        return bytearray(REGISTERS.pack(state.control | self._fixed, *values))

    def read_config(self, offset: int) -> int:
        """Read one byte of the capability."""
        return self._registers()[offset]

    def write_config(self, offset: int, value: int) -> None:
        """Write one byte of the capability; pending bits cannot be written."""
        registers = self._registers()
        registers[offset] = value
        control, address, data, mask, _ = REGISTERS.unpack(registers)
        state = self.state
        state.control = control & CONTROL_WRITABLE
        state.address = address & ADDRESS_BITS
        state.data = data
        state.mask = mask & self._mask_bits


def nowhere(address: int, data: int) -> None:
    """No function has it yet."""
