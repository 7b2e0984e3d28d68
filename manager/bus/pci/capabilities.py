# SPDX-License-Identifier: BSD-2-Clause
"""The capability list: entries that are data, and entries with registers behind.

Source: PCI Local Bus Specification 3.0, section 6.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from manager.bus.pci.registers import CONFIG_SIZE, DEVICE_SPECIFIC

ID_MSI = 0x05
ID_VENDOR = 0x09
ID_MSIX = 0x11
HEAD = 2
"""Bytes before an entry's own: the id, and where the next entry is."""
ALIGNMENT = 4


class Capability(Protocol):
    """An entry. Offsets count bytes from its own first one, behind the head."""

    @property
    def id(self) -> int:
        """What it is."""

    @property
    def length(self) -> int:
        """Bytes, without the head."""

    def read_config(self, offset: int) -> int:
        """Read one byte."""

    def write_config(self, offset: int, value: int) -> None:
        """Write one byte."""

    def settle(self) -> None:
        """All bytes of an access are written: what follows from them happens now."""


class Data:
    """A capability that only says something."""

    __slots__ = ("_content", "id")

    def __init__(self, id: int, content: bytes) -> None:
        self.id = id
        self._content = content

    @property
    def length(self) -> int:
        """Bytes, without the head."""
        return len(self._content)

    def read_config(self, offset: int) -> int:
        """Read one byte."""
        return self._content[offset]

    def write_config(self, offset: int, value: int) -> None:
        """Nothing can be changed."""

    def settle(self) -> None:
        """Nothing follows."""


def vendor_specific(content: bytes) -> Data:
    """A capability whose meaning is the vendor's own; its length goes before its content."""
    return Data(ID_VENDOR, bytes([HEAD + 1 + len(content)]) + content)


class CapabilityList:
    """Entries one after the other, from 0x40 in configuration space on, in the order given.

    Raises ValueError when they do not fit.
    """

    def __init__(self, entries: Sequence[Capability]) -> None:
        self._heads: dict[int, int] = {}
        """Bytes of heads by offset."""
        self._places: dict[int, tuple[Capability, int]] = {}
        """Entry and offset in it, by offset."""
        link, at = 0, DEVICE_SPECIFIC
        for entry in entries:
            if link:
                self._heads[link] = at
            self._heads |= {at: entry.id, at + 1: 0}
            link = at + 1
            self._places |= {at + HEAD + n: (entry, n) for n in range(entry.length)}
            at = -(-(at + HEAD + entry.length) // ALIGNMENT) * ALIGNMENT
        if at > CONFIG_SIZE:
            raise ValueError(f"the capabilities take {at - CONFIG_SIZE} bytes more than there are")
        self.first = DEVICE_SPECIFIC if entries else 0
        """What the capabilities pointer says."""

    def __contains__(self, offset: int) -> bool:
        """Whether a configuration register is one of the list's."""
        return offset in self._places or offset in self._heads

    def read(self, offset: int) -> int:
        """Read a byte of the list."""
        if (place := self._places.get(offset)) is not None:
            return place[0].read_config(place[1])
        return self._heads[offset]

    def write(self, offset: int, value: int) -> tuple[Capability, ...]:
        """Write a byte of the list; the entry that has to settle, or none for a head."""
        if (place := self._places.get(offset)) is None:
            return ()
        place[0].write_config(place[1], value)
        return place[:1]
