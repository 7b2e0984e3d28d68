# SPDX-License-Identifier: BSD-2-Clause
"""The keys of an NVMe disk."""

from __future__ import annotations

from pydantic import Field

from manager.config.table import SlotTable


class NvmeSlot(SlotTable):
    """An NVMe disk."""

    disk: str = Field(description="The disk, by its name in `[disks]`.", examples=["root"])
