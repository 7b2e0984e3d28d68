# SPDX-License-Identifier: BSD-2-Clause
"""What of a lab a seed decides: which frames links lose, and the turns of machines' CPUs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from manager.lab.draws import number

if TYPE_CHECKING:
    from manager.graph.lab import Lab

LAST = (1 << 63) - 1
"""The largest seed of a link."""


def seeds(lab: Lab, seed: int) -> dict[str, int]:
    """The seeds of a lab that `seed` stands for, by their keys in the lab file.

    The first is `seed` itself, so that a lab with one lossy link is as its file would have it; the
    others are numbers made of it, so that two links do not lose the same frames. A link that
    loses nothing, and a machine whose schedule has no seed, have none.
    """
    keys = [
        *(f"links.{link.name}.seed" for link in lab.links.values() if link.loss),
        *(
            f"machines.{name}.cpu.schedule.seed"
            for name, graph in lab.members.items()
            if graph.cpu_seed is not None
        ),
    ]
    return {key: number(seed, n) >> 1 if n else seed for n, key in enumerate(keys)}


def reseeded(lab: Lab, seed: int) -> Lab:
    """The lab with all its seeds as `seed` decides."""
    found = seeds(lab, seed)
    links = {
        name: replace(link, seed=found.get(f"links.{name}.seed", link.seed))
        for name, link in lab.links.items()
    }
    members = {
        name: replace(
            graph,
            cpu_seed=replace(graph.cpu_seed, seed=found[f"machines.{name}.cpu.schedule.seed"]),
        )
        if graph.cpu_seed is not None
        else graph
        for name, graph in lab.members.items()
    }
    return replace(lab, links=links, members=members)
