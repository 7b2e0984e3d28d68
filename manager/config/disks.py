# SPDX-License-Identifier: BSD-2-Clause
"""A disk, as the machine file names it: an image, a folder, or room that is empty at first."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from manager.config.table import Table
from manager.config.units import show_size
from manager.config.values import FilePath, fault, size_in_bytes

_SECTOR = 512
_MIB = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_SIZE = 1 << 44
"""16 TiB."""


def _size(size: int) -> int:
    if not _MIB <= size <= MAX_SIZE:
        allowed = f"from {show_size(_MIB)} to {show_size(MAX_SIZE)}"
        raise fault("VM014", f"a disk cannot have {show_size(size)}", allowed)
    if size % _SECTOR:
        raise fault("VM014", f"{size} bytes are not a whole number of {_SECTOR}-byte sectors")
    return size


def _disk_name(text: str) -> str:
    if _NAME.fullmatch(text) is None:  # it becomes the name of a file
        help = "a name is at most 64 of a-z, A-Z, 0-9, _ and -, which TOML takes without quotes"
        raise fault("VM014", f'"{text}" is not a name for a disk', help)
    return text


DiskName = Annotated[str, AfterValidator(_disk_name)]
DiskSize = Annotated[int, BeforeValidator(size_in_bytes), AfterValidator(_size)]


class DiskTable(Table):
    """A disk: exactly one of `image`, `folder` and `size` alone says what is on it."""

    image: FilePath | None = Field(
        default=None,
        description="An image file, raw or qcow2, recognised by its content.",
        examples=["debian.img"],
    )
    folder: FilePath | None = Field(
        default=None,
        description="A folder of the host whose content the disk begins with.",
        examples=["rootfs"],
    )
    format: Literal["ext4", "fat", "iso"] | None = Field(
        default=None,
        description="The file system that is made of `folder`.",
        examples=["ext4"],
    )
    size: DiskSize | None = Field(
        default=None,
        description="Bytes of an empty disk, or of the one made of `folder`: a number with K, M "
        "or G (powers of two).",
        examples=["1G"],
    )
    mode: Literal["overlay", "read-only", "direct"] = Field(
        default="overlay",
        description='"overlay": what the guest writes goes to a layer of the machine\'s own, the '
        'image is never written. "read-only": the guest cannot write. "direct": what the guest '
        "writes gets into the image, which must be raw, once the machine is over.",
        examples=["read-only"],
    )
    on_full: Literal["pause", "error"] = Field(
        default="pause",
        description="What happens when the host has no room for what the guest writes: the "
        "machine pauses, or the guest gets an I/O error.",
        examples=["error"],
    )

    @model_validator(mode="after")
    def _one_content(self) -> DiskTable:
        given = tuple(key for key in ("image", "folder") if getattr(self, key) is not None)
        help = "set one of `image`, `folder` with `format`, and `size`"
        if len(given) == 2:
            raise fault("VM023", "`image` and `folder` are different contents", help, given)
        if not given and self.size is None:
            raise fault("VM023", "the disk has no content and no size", help)
        if self.image is not None and self.size is not None:
            message = "an `image` has the size that it has"
            raise fault("VM023", message, "leave out `size`", ("size", "image"))
        if self.folder is not None and self.format is None:
            help = 'such as format = "ext4", or "fat", or "iso"'
            raise fault("VM013", "`folder` needs `format` as well", help, ("folder",))
        if self.format is not None and self.folder is None:
            raise fault("VM032", "`format` does not go without `folder`", help, ("format",))
        if self.mode == "direct" and self.image is None:
            message = "only an `image` can be written directly"
            raise fault("VM024", message, 'leave out `mode`, or take "overlay"', ("mode",))
        return self
