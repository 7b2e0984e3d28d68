# SPDX-License-Identifier: BSD-2-Clause
"""The keys of a VGA."""

from __future__ import annotations

from pydantic import Field

from manager.config.table import SlotTable
from manager.config.values import FilePath


class VgaSlot(SlotTable):
    """A VGA with text and graphics modes."""

    bios: FilePath | None = Field(
        default=None,
        description="The video BIOS in its ROM, 64 KiB at most; without it SeaVGABIOS, "
        "vgabios-stdvga.bin of the package seabios, where distributions put it.",
        examples=["vgabios-stdvga.bin"],
    )
