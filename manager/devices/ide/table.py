# SPDX-License-Identifier: BSD-2-Clause
"""The keys of an IDE controller."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from manager.config.table import SlotTable, Table


class Drive(Table):
    """A drive of an IDE channel."""

    disk: str = Field(description="The disk, by its name in `[disks]`.", examples=["cd"])
    type: Literal["disk", "cdrom"] = Field(
        default="disk",
        description="Whether it is a hard disk or a CD-ROM drive.",
        examples=["cdrom"],
    )


DriveOrName = Annotated[
    Drive | None,
    BeforeValidator(lambda value: {"disk": value} if isinstance(value, str) else value),
]
"""A hard disk may be written as the name of its disk."""


def _drive(place: str) -> Any:
    return Field(
        default=None,
        description=f"The {place.replace('-', ' ')}: a disk's name, or a table.",
        examples=["root", {"disk": "cd", "type": "cdrom"}],
    )


class IdeSlot(SlotTable):
    """An IDE controller with up to four drives."""

    primary_master: DriveOrName = _drive("primary-master")
    primary_slave: DriveOrName = _drive("primary-slave")
    secondary_master: DriveOrName = _drive("secondary-master")
    secondary_slave: DriveOrName = _drive("secondary-slave")
