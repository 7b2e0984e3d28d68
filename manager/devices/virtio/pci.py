# SPDX-License-Identifier: BSD-2-Clause
"""virtio over PCI: a transitional function, which modern and legacy drivers can both use.

Source: VIRTIO 1.2, section 4.1. BAR 0 has the legacy ports, BAR 1 MSI-X, BAR 4 the modern
registers, a page for each block.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from manager.bus.pci import (
    Capability,
    Msix,
    PciFunction,
    PciHeader,
    PciSlot,
    vendor_specific,
)
from manager.devices.virtio.claims import (
    LEGACY_BAR,
    LEGACY_LENGTH,
    MODERN_BAR,
    MODERN_LENGTH,
    MSIX_BAR,
)
from manager.devices.virtio.device import VirtioCore
from manager.devices.virtio.queue import NO_VECTOR
from manager.devices.virtio.registers import COMMON_LENGTH, LEGACY_ISR, LEGACY_NOTIFY, Registers
from manager.devices.virtio.window import Window

COMMON_AT, ISR_AT, CONFIG_AT, NOTIFY_AT = 0x0000, 0x1000, 0x2000, 0x3000
PENDING_AT = 0x800
NOTIFY_STEP = 4

CAP_COMMON, CAP_NOTIFY, CAP_ISR, CAP_DEVICE = 1, 2, 3, 4
_CAPABILITY = struct.Struct(
    "<BB3xII"
)  # cfg_type, bar; offset, length: what follows the length byte
_BLOCK = 0x1000


class VirtioFunction(PciFunction):
    """The PCI function of a virtio device: `core` is the device behind it."""

    def __init__(self, header: PciHeader, slot: PciSlot, core: VirtioCore) -> None:
        self._core = core
        vectors = len(core.queues) + 1
        self._registers_of = Registers(core, vectors)
        msix = Msix(vectors, bar=MSIX_BAR, pending_at=PENDING_AT)
        self.window = Window(
            {
                LEGACY_BAR: (self.read_legacy, self.write_legacy, LEGACY_LENGTH),
                MODERN_BAR: (self.read_modern, self.write_modern, MODERN_LENGTH),
            }
        )
        places = _places(len(core.queues), len(core.config()))
        super().__init__(
            header,
            slot,
            {LEGACY_BAR: _LegacyPorts(self), MSIX_BAR: msix, MODERN_BAR: _Modern(self)},
            capabilities=[*places, self.window],
            msix=msix,
        )
        core.interrupt = self._interrupt_by

    # -- interrupts ---------------------------------------------------------------------------

    def _interrupt_by(self, isr: int, vector: int) -> None:
        if self.by_message:
            if vector != NO_VECTOR:
                self.signal(vector)
            return
        self._core.virtio.isr |= isr
        self.drive_pin()

    def drive_pin(self) -> None:
        """Make the interrupt pin agree with the interrupt status."""
        self.set(bool(self._core.virtio.isr))

    def read_isr(self) -> int:
        """Read the interrupt status, which takes the interrupt back."""
        isr, self._core.virtio.isr = self._core.virtio.isr, 0
        self.drive_pin()
        return isr

    # -- both register blocks -------------------------------------------------------------------

    def read_legacy(self, offset: int, size: int) -> int:
        """IN from BAR 0."""
        if offset == LEGACY_ISR:
            return self.read_isr()
        return self._registers_of.read_legacy(offset, size, with_msix=self.by_message)

    def write_legacy(self, offset: int, size: int, value: int) -> None:
        """OUT to BAR 0."""
        if offset == LEGACY_NOTIFY:
            self._core.notify(value & 0xFFFF)
            return
        self._registers_of.write_legacy(offset, size, value, with_msix=self.by_message)
        self.drive_pin()

    def read_modern(self, offset: int, size: int) -> int:
        """Read from BAR 4."""
        block, at = offset & -_BLOCK, offset & _BLOCK - 1
        if block == COMMON_AT:
            return self._registers_of.read_common(at, size)
        if block == CONFIG_AT:
            return int.from_bytes(self._core.config()[at : at + size], "little")
        return self.read_isr() if block == ISR_AT and at == 0 else 0

    def write_modern(self, offset: int, size: int, value: int) -> None:
        """Write to BAR 4."""
        block, at = offset & -_BLOCK, offset & _BLOCK - 1
        if block == NOTIFY_AT:
            self._core.notify(at // NOTIFY_STEP)
        elif block == CONFIG_AT:
            self._core.write_config(at, value.to_bytes(size, "little"))
        elif block == COMMON_AT and at < COMMON_LENGTH:
            self._registers_of.write_common(at, size, value)
            self.drive_pin()


class _LegacyPorts:
    """BAR 0."""

    def __init__(self, function: VirtioFunction) -> None:
        self.read_wide = function.read_legacy
        self.write_wide = function.write_legacy


class _Modern:
    """BAR 4."""

    def __init__(self, function: VirtioFunction) -> None:
        self.read_mmio = function.read_modern
        self.write_mmio = function.write_modern


def _places(queues: int, config: int) -> Iterator[Capability]:
    """The capabilities that say where each block of registers is."""

    def place(kind: int, offset: int, length: int, more: bytes = b"") -> Capability:
        return vendor_specific(_CAPABILITY.pack(kind, MODERN_BAR, offset, length) + more)

    yield place(CAP_COMMON, COMMON_AT, COMMON_LENGTH)
    yield place(CAP_ISR, ISR_AT, 1)
    yield place(CAP_NOTIFY, NOTIFY_AT, NOTIFY_STEP * queues, struct.pack("<I", NOTIFY_STEP))
    if config:
        yield place(CAP_DEVICE, CONFIG_AT, config)
