# SPDX-License-Identifier: BSD-2-Clause
"""What all tables of a machine file have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Table(BaseModel):
    """A table of the machine file. Keys are written with dashes."""

    # Validators are built when the first machine file is read, once for the whole tree.
    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        alias_generator=lambda name: name.replace("_", "-"),
        defer_build=True,
    )


class DeviceTable(Table):
    """A table that names its device: that of a slot, and of a kind that is not vmmgr's own."""

    device: str = Field(description="What sits in the slot.")


class SlotTable(DeviceTable):
    """The table of a device on PCI bus 0."""
