# SPDX-License-Identifier: BSD-2-Clause
"""What an engine remembers of the last fault: told to people, no state of the machine."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Protocol

from manager.lazy import dataclass


class Kind(IntEnum):
    """What goes through the IDT."""

    EXCEPTION = 0
    INT = 1
    """INT n, INT3 or INTO."""
    INTERRUPT = 2
    """From a device, or an NMI."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An exception or interrupt, as its way into the guest's IDT began."""

    kind: Kind
    cpu: int
    vector: int
    error_code: int
    """Says nothing of a vector that has none."""
    selector: int
    base: int
    """Of CS."""
    rip: int
    cr2: int
    bits: int
    """Of the code: 16, 32 or 64."""


@dataclass(frozen=True, slots=True)
class RefusedMsr:
    """RDMSR or WRMSR that became #GP."""

    cpu: int
    number: int
    value: int
    """What was to be written."""
    written: bool
    selector: int
    rip: int


class Witness(Protocol):
    """What a story of a fault is told from."""

    @property
    def deliveries(self) -> Sequence[Delivery]:
        """The last one, or, when it failed, all from the first; each came of the one before."""

    @property
    def refused_msr(self) -> RefusedMsr | None:
        """The last one since the engine was made."""
