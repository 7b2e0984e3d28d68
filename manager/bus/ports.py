# SPDX-License-Identifier: BSD-2-Clause
"""The 64 KiB x86 I/O space: port number -> device."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol, runtime_checkable

from manager.bus.grants import NO_GRANTS, Grants

PORTS = 0x10000
DELAY_PORT = 0x80
"""What firmware shows its progress at, and kernels write to let a microsecond pass."""


@runtime_checkable
class BytePorts(Protocol):
    """A device of byte-wide registers. The bus splits wider accesses, low byte first."""

    def read_port(self, offset: int) -> int:
        """Read one byte at `offset` from the start of the claimed range."""

    def write_port(self, offset: int, value: int) -> None:
        """Write one byte (0-255)."""


@runtime_checkable
class WidePorts(Protocol):
    """A device that sees the width of an access: `size` is 1, 2 or 4 bytes."""

    def read_wide(self, offset: int, size: int) -> int:
        """Read `size` bytes, little-endian."""

    def write_wide(self, offset: int, size: int, value: int) -> None:
        """Write `size` bytes, little-endian."""


class PortLender(Protocol):
    """What can serve a device's port from a buffer, without the device."""

    def lend_port(
        self,
        port: int,
        buffer: bytearray,
        start: int,
        writable: bool,
        returned: Callable[[int], None],
    ) -> None:
        """Let the guest's next INs (OUTs, if `writable`) at `port` go to `buffer` from `start` on.

        Until `returned` is called with the place that they came to, which is before any other
        method of a device is, `buffer` must be left alone. The last bytes stay the device's.
        """


class PortConflictError(ValueError):
    """Two owners of one port; the graph finds this before a machine is ever built."""


class PortBus:
    """Dispatches IN and OUT. An unclaimed port reads as all ones and drops writes, as on a PC."""

    __slots__ = ("_grants", "_nested", "_owners", "_wide", "last_unclaimed", "on_unclaimed")

    def __init__(self, grants: Grants = NO_GRANTS) -> None:
        self._grants = grants
        self._owners: dict[int, tuple[BytePorts, int]] = {}
        self._wide: dict[int, tuple[WidePorts, int, int]] = {}
        self._nested: set[int] = set()
        self.on_unclaimed: Callable[[int, bool], None] | None = None
        """Called with (port, is_write) for an access to a port that no device has."""
        self.last_unclaimed: tuple[int, bool] | None = None
        """The last such access but those to DELAY_PORT; no state of the machine."""

    def claim(self, base: int, length: int, device: BytePorts) -> None:
        """Give [base, base + length) to a byte-wide device."""
        self._check_free(base, length)
        for offset in range(length):
            self._owners[base + offset] = (device, offset)

    def claim_wide(self, base: int, length: int, device: WidePorts) -> None:
        """Give [base, base + length) to a device that handles widths itself.

        An access that crosses the end of the range is split into bytes.
        """
        self._check_free(base, length, self._nested)
        for offset in range(length):
            self._wide[base + offset] = (device, offset, length - offset)

    def claim_nested(self, base: int, length: int, device: BytePorts) -> None:
        """Give byte accesses to [base, base + length) to a device, within a wide one's range.

        The range around it may be claimed before or after, or never.
        """
        taken = any(port in self._owners for port in range(base, base + length))
        if taken or not 0 <= base <= base + length <= PORTS:
            raise PortConflictError(f"ports {base:#x}-{base + length - 1:#x} are taken")
        for offset in range(length):
            self._owners[base + offset] = (device, offset)
            self._nested.add(base + offset)

    def release(self, base: int, length: int) -> None:
        """Take a range back; ports that are not claimed are passed over."""
        for port in range(base, base + length):
            self._owners.pop(port, None)
            self._wide.pop(port, None)

    def is_free(self, base: int, length: int, nested: Collection[int] = ()) -> bool:
        """Whether the range lies in the I/O space and no device owns any of it but `nested`."""
        ports = range(base, base + length)
        return (
            base >= 0
            and base + length <= PORTS
            and not any(
                (port in self._owners and port not in nested) or port in self._wide
                for port in ports
            )
        )

    def claimed(self) -> set[int]:
        """Every port that a device owns at present."""
        return {*self._owners, *self._wide}

    def _check_free(self, base: int, length: int, nested: Collection[int] = ()) -> None:
        if not self.is_free(base, length, nested):
            raise PortConflictError(f"ports {base:#x}-{base + length - 1:#x} are taken")

    def read(self, port: int, size: int) -> int:
        """IN of `size` bytes (1, 2 or 4)."""
        if size == 1 and (owner := self._owners.get(port)) is not None:
            return owner[0].read_port(owner[1])
        if (wide := self._wide.get(port)) is not None and size <= wide[2]:
            return wide[0].read_wide(wide[1], size)
        if size > 1:
            return sum(self.read(port + i & 0xFFFF, 1) << (8 * i) for i in range(size))
        self._unclaimed(port, False)
        return 0xFF

    def write(self, port: int, size: int, value: int) -> None:
        """OUT of `size` bytes (1, 2 or 4)."""
        if size == 1 and (owner := self._owners.get(port)) is not None:
            owner[0].write_port(owner[1], value)
        elif (wide := self._wide.get(port)) is not None and size <= wide[2]:
            wide[0].write_wide(wide[1], size, value)
        elif size > 1:
            for i in range(size):
                self.write(port + i & 0xFFFF, 1, value >> (8 * i) & 0xFF)
        else:
            self._unclaimed(port, True)

    def _unclaimed(self, port: int, is_write: bool) -> None:
        if port != DELAY_PORT:
            self.last_unclaimed = (port, is_write)
        elif self.on_unclaimed is None:
            if is_write:
                self._grants.absorb(None)
            else:
                self._grants.steady()
        if self.on_unclaimed is not None:
            self.on_unclaimed(port, is_write)
