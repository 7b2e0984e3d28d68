# SPDX-License-Identifier: BSD-2-Clause
"""A lab as a description: its machines, and the wires between them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from manager.config import units
from manager.graph.nodes import Graph
from manager.lazy import dataclass

LOSS_UNIT = units.LOSS_UNIT
"""What a loss of 1, of all frames, is as an integer."""
MOST_CARDS = 64
"""On one link."""
LONGEST_QUANTUM = 10_000_000
"""ns: what machines do without a look at each other, however slow the wires are."""


class End(NamedTuple):
    """Where a wire is plugged in."""

    machine: str
    """The member's name in the lab."""
    device: str
    """The id of a network card ("slots.6") or of a serial port ("lpc.com1")."""

    def __str__(self) -> str:
        return f"{self.machine}/{self.device}"


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """An Ethernet segment."""

    name: str
    ends: tuple[End, ...]
    """The cards on it, by the names of their machines and by slot. A card's place here is its
    number on the link."""
    latency: int = 100_000
    """ns from one card to another, without the time of the frame itself; at least 1."""
    bandwidth: int = 1_000_000_000
    """Bits a second, in each direction of each card."""
    loss: int = 0
    """How many of LOSS_UNIT frames do not arrive, at each receiver for itself."""
    seed: int = 1
    """Which ones: 0 to 2^63 - 1."""
    capture: Path | None = None
    """Where all frames are written to. The guests cannot see it."""


@dataclass(frozen=True, slots=True)
class CableSpec:
    """A null-modem cable between two serial ports."""

    name: str
    ends: tuple[End, End]
    latency: int = 100_000
    """ns."""
    baud: int = 1_000_000
    """Bits a second; a byte has ten."""


@dataclass(frozen=True, slots=True)
class Lab:
    """Machines that run in lock-step, and what is between them."""

    name: str
    source: Path
    """The lab file."""
    members: Mapping[str, Graph]
    """By name, in its order; each graph has the name LAB/NAME."""
    links: Mapping[str, LinkSpec]
    cables: Mapping[str, CableSpec]

    @property
    def clock_mode(self) -> Literal["paced", "virtual"]:
        """That of all its machines."""
        return next(iter(self.members.values())).clock_mode

    @property
    def epoch(self) -> int:
        """What captures begin at: the first machine's, in seconds since 1970."""
        return next(iter(self.members.values())).epoch


def quantum(lab: Lab) -> int:
    """How long, in ns, machines run before they look at each other.

    No wire is faster. So what is sent within a quantum arrives after its end, and all that arrives
    in a quantum is known when it begins. A machine that ends a quantum late, for it stops between
    blocks of code only, is as late for what arrives meanwhile: it was in one block all the time.
    """
    links = (link.latency for link in lab.links.values())
    cables = (cable.latency for cable in lab.cables.values())
    return min((LONGEST_QUANTUM, *links, *cables))
