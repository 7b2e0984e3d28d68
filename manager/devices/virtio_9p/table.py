# SPDX-License-Identifier: BSD-2-Clause
"""The keys of a server of files."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from manager.config.table import SlotTable
from manager.config.values import fault

MAX_TAG = 31
"""Bytes."""


def _tag(text: str) -> str:
    if not text or not text.isascii() or not text.isprintable() or " " in text or "," in text:
        help = "letters, digits and signs without spaces and commas"
        raise fault("VM014", f'"{text}" is not a tag', help)
    if len(text) > MAX_TAG:
        raise fault("VM014", f"a tag has {MAX_TAG} characters at most, not {len(text)}")
    return text


class Virtio9pSlot(SlotTable):
    """A server of files: the guest mounts a folder of the host."""

    share: str = Field(description="The share, by its name in `[shares]`.", examples=["src"])
    tag: Annotated[str, AfterValidator(_tag)] | None = Field(
        default=None,
        description="What the guest mounts it by: `mount -t 9p -o trans=virtio TAG /mnt`. The name "
        "of the share when it is not given.",
        examples=["src"],
    )
