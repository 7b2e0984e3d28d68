# SPDX-License-Identifier: BSD-2-Clause
"""The keys of a source of random bytes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from manager.config.table import SlotTable


class VirtioRngSlot(SlotTable):
    """A source of random bytes, the same for the same seed."""

    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = Field(
        default=0,
        description="What the bytes are made from; clones that are to differ get another one.",
        examples=[1],
    )
