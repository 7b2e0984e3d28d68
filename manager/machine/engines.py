# SPDX-License-Identifier: BSD-2-Clause
"""Which engine runs a machine that is given none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manager.graph.nodes import Graph

if TYPE_CHECKING:
    from manager.cpu.engine import PcEngine, Seeded


def make(graph: Graph) -> PcEngine:
    """A fresh engine with the CPUs of `graph`. Raises HostError if there is none on this host."""
    from manager.cpu.unicorn.engine import UnicornEngine

    return UnicornEngine(
        graph.cpu_model, graph.cpu_count, quantum=graph.cpu_quantum, seeded=seeded(graph)
    )


def seeded(graph: Graph) -> Seeded | None:
    """The schedule of its CPUs, if a seed draws it."""
    from manager.cpu.engine import Seeded

    seed = graph.cpu_seed
    return Seeded(seed.seed, seed.jitter_ns, seed.tear) if seed is not None else None
