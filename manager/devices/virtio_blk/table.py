# SPDX-License-Identifier: BSD-2-Clause
"""The keys of a virtio disk."""

from __future__ import annotations

from pydantic import Field

from manager.config.table import SlotTable


class VirtioBlkSlot(SlotTable):
    """A virtio disk."""

    disk: str = Field(description="The disk, by its name in `[disks]`.", examples=["root"])
