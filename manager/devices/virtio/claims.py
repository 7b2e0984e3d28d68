# SPDX-License-Identifier: BSD-2-Clause
"""What every virtio function claims, whatever the device."""

from __future__ import annotations

from manager.devices.claims import UNPLACED, IoBar, MemoryBar

VENDOR = 0x1AF4
LEGACY_BAR, MSIX_BAR, MODERN_BAR = 0, 1, 4
LEGACY_LENGTH = 64
MSIX_LENGTH = 4096
MODERN_LENGTH = 0x4000

BARS = (IoBar(LEGACY_BAR, UNPLACED, LEGACY_LENGTH),)
MEMORY_BARS = (
    MemoryBar(MSIX_BAR, UNPLACED, MSIX_LENGTH),
    MemoryBar(MODERN_BAR, UNPLACED, MODERN_LENGTH, 64, prefetchable=True),
)
