# SPDX-License-Identifier: BSD-2-Clause
"""MSI-X: interrupts by message, with a table of messages in a memory BAR.

Source: PCI Local Bus Specification 3.0, section 6.8.2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from manager.bus.pci.capabilities import ID_MSIX
from manager.bus.pci.msi import Send, nowhere
from manager.bus.pci.registers import BARS
from manager.bus.pci.state import ENTRY, MOST_VECTORS, MsixState

CONTROL_ENABLE = 0x8000
CONTROL_FUNCTION_MASK = 0x4000
CONTROL_WRITABLE = CONTROL_ENABLE | CONTROL_FUNCTION_MASK
CONTROL_AT = 0, 1
"""Offsets of the control register's bytes."""
ENTRY_MASKED = 0x00000001
TABLE_ENTRY = struct.Struct("<Q I I")
"""Address, data, control."""
ADDRESS_LOW = 0xFC  # of the first byte: addresses are multiples of 4
CONTROL_BYTE = 12  # of an entry
ALIGNMENT = 8


class Msix:
    """The capability of a function with `vectors` (1-2048) messages in memory BAR `bar`.

    The table is at `table_at` of the BAR and the pending bits are at `pending_at`, behind the table
    by default. A BAR with nothing else in it has the Msix itself behind it; else what is there
    hands accesses on to `read_table` and its like.
    """

    __slots__ = ("_places", "id", "length", "pending_at", "send", "state", "table_at", "vectors")

    def __init__(
        self, vectors: int, bar: int, *, table_at: int = 0, pending_at: int | None = None
    ) -> None:
        if not 1 <= vectors <= MOST_VECTORS:
            raise ValueError(f"a function cannot have {vectors} MSI-X vectors")
        if pending_at is None:
            pending_at = table_at + ENTRY * vectors
        if (table_at | pending_at) % ALIGNMENT or bar not in range(BARS):
            raise ValueError("MSI-X table and pending bits are at multiples of 8 in BAR 0 to 5")
        self.id = ID_MSIX
        self._places = struct.pack("<HII", vectors - 1, table_at | bar, pending_at | bar)
        self.length = len(self._places)
        self.vectors = vectors
        self.table_at = table_at
        self.pending_at = pending_at
        self.state = self.power_on()
        self.send: Send = nowhere

    @property
    def bar_length(self) -> int:
        """Bytes of a BAR with nothing else in it: a power of two."""
        ends = (self.table_at + ENTRY * self.vectors, self.pending_at + (self.vectors + 63) // 8)
        return 1 << (max(ends) - 1).bit_length()

    def power_on(self) -> MsixState:
        """All vectors masked, none pending."""
        entry = TABLE_ENTRY.pack(0, 0, ENTRY_MASKED)
        return MsixState(0, bytearray(entry * self.vectors), bytearray((self.vectors + 7) // 8))

    def load(self, state: MsixState) -> None:
        """Take over a state, with a table for all vectors."""
        fresh = self.power_on()
        state.table = state.table[: len(fresh.table)] + fresh.table[len(state.table) :]
        state.pending = state.pending[: len(fresh.pending)] + fresh.pending[len(state.pending) :]
        self.state = state

    @property
    def enabled(self) -> bool:
        """Whether the guest wants messages of this kind."""
        return bool(self.state.control & CONTROL_ENABLE)

    def signal(self, vector: int) -> None:
        """Send the message of a vector, or note that it waits. There are no others to send."""
        if not 0 <= vector < self.vectors:
            return
        state, place, bit = self.state, vector >> 3, 1 << (vector & 7)
        address, data, control = TABLE_ENTRY.unpack_from(state.table, ENTRY * vector)
        if control & ENTRY_MASKED or state.control & CONTROL_FUNCTION_MASK:
            state.pending[place] |= bit
        else:
            state.pending[place] &= ~bit
            self.send(address, data)

    def armed(self) -> Iterator[tuple[int, int]]:
        """(address, data) of what may be sent as the registers are now."""
        if self.state.control & CONTROL_WRITABLE == CONTROL_ENABLE:
            for address, data, control in TABLE_ENTRY.iter_unpack(self.state.table):
                if not control & ENTRY_MASKED:
                    yield address, data

    def settle(self) -> None:
        """Send what waits and is not held back any more."""
        if self.state.control & CONTROL_WRITABLE != CONTROL_ENABLE:
            return
        for place, bits in enumerate(self.state.pending):
            for vector in range(8 * place, 8 * place + bits.bit_length()):
                if bits >> (vector & 7) & 1:
                    self.signal(vector)

    # -- the capability ---------------------------------------------------------------------

    def read_config(self, offset: int) -> int:
        """Read one byte of the capability."""
        value = self._places[offset]
        return value | self.state.control >> 8 * offset & 0xFF if offset in CONTROL_AT else value

    def write_config(self, offset: int, value: int) -> None:
        """Write one byte of the capability."""
        if offset in CONTROL_AT:
            kept = self.state.control & ~(0xFF << 8 * offset)
            self.state.control = (kept | value << 8 * offset) & CONTROL_WRITABLE

    # -- the table and the pending bits in memory -------------------------------------------

    def read_mmio(self, offset: int, size: int) -> int:
        """Read a BAR with nothing else in it."""
        if offset >= self.pending_at:
            return self.read_pending(offset - self.pending_at, size)
        return self.read_table(offset - self.table_at, size)

    def write_mmio(self, offset: int, size: int, value: int) -> None:
        """Write a BAR with nothing else in it."""
        if offset < self.pending_at:
            self.write_table(offset - self.table_at, size, value)

    def read_table(self, offset: int, size: int) -> int:
        """Read at `offset` from the start of the table; 0 outside of it."""
        return _load(self.state.table, offset, size)

    def write_table(self, offset: int, size: int, value: int) -> None:
        """Write at `offset` from the start of the table; a vector that is unmasked may go out."""
        table = self.state.table
        if not 0 <= offset <= len(table) - size:
            return
        table[offset : offset + size] = value.to_bytes(size, "little")
        entry = offset & -ENTRY
        control = entry + CONTROL_BYTE
        table[entry] &= ADDRESS_LOW
        table[control : control + 4] = bytes((table[control] & ENTRY_MASKED, 0, 0, 0))
        self.settle()

    def read_pending(self, offset: int, size: int) -> int:
        """Read at `offset` from the start of the pending bits; 0 outside of them."""
        return _load(self.state.pending, offset, size)


def _load(memory: bytearray, offset: int, size: int) -> int:
    return int.from_bytes(memory[offset : offset + size], "little") if offset >= 0 else 0
