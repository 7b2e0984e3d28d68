# SPDX-License-Identifier: BSD-2-Clause
"""Physical addresses without RAM: which device answers where.

RAM and the firmware's chip come first, as on a PC whose host bridge claims their addresses before
it hands an access on. All else is given out as it is asked for and belongs to one owner at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, runtime_checkable

from manager.bus.memory import ADDRESS_SPACE


@runtime_checkable
class MmioDevice(Protocol):
    """A device with registers in memory; `size` is 1, 2 or 4 bytes and divides `offset`."""

    def read_mmio(self, offset: int, size: int) -> int:
        """Read at `offset` from the start of its range, little-endian."""

    def write_mmio(self, offset: int, size: int, value: int) -> None:
        """Write at `offset` from the start of its range."""


class AddressSpace(Protocol):
    """What maps addresses for the CPU; see manager.cpu.engine.Engine, which has these methods."""

    def map_mmio(
        self,
        base: int,
        length: int,
        read: Callable[[int, int], int],
        write: Callable[[int, int, int], None],
    ) -> None:
        """Put registers there."""

    def unmap_mmio(self, base: int) -> None:
        """Take them away."""

    def place_ram(self, home: int, base: int | None) -> None:
        """Show the memory of that home there, or nowhere."""

    def place_part(self, home: int, offset: int, length: int, base: int | None) -> None:
        """Show a part of the memory of that home there as well, or nowhere else."""

    def touched(self, home: int) -> bytes:
        """Which of its pages the guest has stored to since the last call."""


class MemoryConflictError(ValueError):
    """Two owners of one address."""


class MemoryBus:
    """Gives addresses to devices and maps them in `engine`, if there is one.

    `taken` are (base, length) of what comes before all devices: RAM and ROM.
    """

    __slots__ = ("_claims", "_engine", "_taken")

    def __init__(
        self, taken: Iterable[tuple[int, int]] = (), engine: AddressSpace | None = None
    ) -> None:
        self._taken = tuple(taken)
        self._engine = engine
        self._claims: dict[int, tuple[int, MmioDevice | None]] = {}
        """Length and device by base; there is no device where memory is shown."""

    def is_free(self, base: int, length: int) -> bool:
        """Whether the range lies in what a CPU can address and nothing has any of it."""
        end = base + length
        return (
            base >= 0
            and end <= ADDRESS_SPACE
            and not any(start < end and base < start + size for start, size in self._used())
        )

    def _used(self) -> Iterator[tuple[int, int]]:
        yield from self._taken
        for base, (length, _) in self._claims.items():
            yield base, length

    def claim(self, base: int, length: int, device: MmioDevice) -> None:
        """Give [base, base + length), multiples of 4, to a device."""
        self._check_free(base, length)
        if self._engine is not None:
            self._engine.map_mmio(base, length, device.read_mmio, device.write_mmio)
        self._claims[base] = (length, device)

    def show(self, base: int, length: int, home: int) -> None:
        """Let the CPU find the memory with that home in [base, base + length), whole pages."""
        self._check_free(base, length)
        if self._engine is not None:
            self._engine.place_ram(home, base)
        self._claims[base] = (length, None)

    def release(self, base: int) -> None:
        """Take registers back that were claimed at `base`."""
        del self._claims[base]
        if self._engine is not None:
            self._engine.unmap_mmio(base)

    def hide(self, base: int, home: int) -> None:
        """Let the CPU find the memory that was shown at `base` nowhere."""
        del self._claims[base]
        if self._engine is not None:
            self._engine.place_ram(home, None)

    def overlay(self, home: int, offset: int, length: int, base: int | None) -> None:
        """Let the CPU find a part of the memory with that home at `base` as well, whole pages.

        It covers registers that are claimed there; with None, it covers none any more.
        """
        if self._engine is not None:
            self._engine.place_part(home, offset, length, base)

    def touched(self, home: int) -> bytes:
        """Which pages of the memory with that home the guest has stored to since the last call.

        One byte for each page, 1 or 0; empty where there is no CPU that could.
        """
        return self._engine.touched(home) if self._engine is not None else b""

    def _check_free(self, base: int, length: int) -> None:
        if not self.is_free(base, length):
            raise MemoryConflictError(f"addresses {base:#x}-{base + length - 1:#x} are taken")

    def registers(self) -> list[tuple[int, int, MmioDevice]]:
        """Base, length and device of all registers, ascending."""
        return [
            (base, length, device)
            for base, (length, device) in sorted(self._claims.items())
            if device is not None
        ]

    def find(self, address: int) -> tuple[MmioDevice, int] | None:
        """The device with registers at an address and the offset in them; None for no device."""
        for base, (length, device) in self._claims.items():
            if base <= address < base + length:
                return (device, address - base) if device is not None else None
        return None

    def read(self, address: int, size: int) -> int:
        """Read `size` bytes (1, 2 or 4, aligned) as a CPU does: ones where no device answers."""
        found = self.find(address)
        return (1 << 8 * size) - 1 if found is None else found[0].read_mmio(found[1], size)

    def write(self, address: int, size: int, value: int) -> None:
        """Write `size` bytes (1, 2 or 4, aligned) as a CPU does."""
        if (found := self.find(address)) is not None:
            found[0].write_mmio(found[1], size, value)
