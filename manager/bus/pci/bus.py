# SPDX-License-Identifier: BSD-2-Clause
"""PCI bus 0: its functions by slot, and which of them gets addresses that several BARs name."""

from __future__ import annotations

from collections.abc import Iterator

from manager.bus.pci.function import PciFunction

SLOTS = 32
FUNCTIONS = 8


class PciBus:
    """Bus 0. Functions live at (slot, function); whatever is absent reads as all ones."""

    def __init__(self) -> None:
        self._functions: dict[tuple[int, int], PciFunction] = {}

    def attach(self, slot: int, number: int, function: PciFunction) -> None:
        """Put a function at `slot` (0-31), `number` (0-7).

        Raises ValueError when the place does not exist or is taken.
        """
        if not (0 <= slot < SLOTS and 0 <= number < FUNCTIONS):
            raise ValueError(f"there is no PCI function {slot}.{number}")
        if (slot, number) in self._functions:
            raise ValueError(f"PCI function {slot}.{number} is taken")
        self._functions[slot, number] = function
        self._functions = dict(sorted(self._functions.items()))
        function.arbiter = self
        several = any(at[0] == slot and at[1] > 0 for at in self._functions)
        for at, other in self._functions.items():
            if at[0] == slot:
                other.multifunction = several

    def __iter__(self) -> Iterator[PciFunction]:
        """The functions, by slot and function number."""
        return iter(self._functions.values())

    def read(self, slot: int, number: int, offset: int, size: int) -> int:
        """Read configuration space: 1, 2 or 4 bytes at `offset`."""
        function = self._functions.get((slot, number))
        return (1 << 8 * size) - 1 if function is None else function.read(offset, size)

    def write(self, slot: int, number: int, offset: int, size: int, value: int) -> None:
        """Write configuration space: 1, 2 or 4 bytes at `offset`."""
        if (function := self._functions.get((slot, number))) is not None:
            function.write(offset, size, value)

    def claim_free(self) -> None:
        """After a guest moved or disabled a BAR: those that waited for its addresses get them.

        An owner keeps what it has; among several that wait, the lowest slot and function wins.
        """
        for function in self:
            function.claim_free()

    def reclaim(self) -> None:
        """While states are being loaded: only owners on record claim, whatever the load order."""
        for function in self:
            function.reclaim()
