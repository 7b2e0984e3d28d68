# SPDX-License-Identifier: BSD-2-Clause
"""Files that a multiboot or PVH kernel finds in RAM beside itself; an initrd is the first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from manager.boot.placement import Placement
from manager.bus.memory import PAGE
from manager.lazy import dataclass


@dataclass(frozen=True, slots=True)
class Module:
    """A file and its command line."""

    name: str
    """For messages."""
    data: bytes
    arguments: str = ""


class Placed(NamedTuple):
    """A module in RAM at [start, end)."""

    start: int
    end: int
    arguments: bytes
    """NUL-terminated."""


def named(name: str, arguments: str) -> str:
    """A command line whose first word is the file's name, as GRUB and `qemu -kernel` give it.

    Many kernels skip that word without looking at it; Xen does.
    """
    return f"{name} {arguments}" if arguments else name


def place(modules: Iterable[Module], placement: Placement, above: int) -> list[Placed]:
    """Put each on pages of its own from `above` on. Raises BootImageError."""
    placed = []
    for module in modules:
        start = placement.store(module.data, f"module {module.name}", PAGE, above)
        text = module.arguments.encode() + b"\0"
        placed.append(Placed(start, start + len(module.data), text))
    return placed
