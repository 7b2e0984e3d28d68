# SPDX-License-Identifier: BSD-2-Clause
"""Which engine runs a machine that is given none."""

from __future__ import annotations

from manager.cpu.engine import PcEngine
from manager.graph.nodes import Graph


def make(graph: Graph) -> PcEngine:
    """A fresh engine with the CPUs of `graph`. Raises HostError if there is none on this host."""
    from manager.cpu.engine import Seeded
    from manager.cpu.unicorn.engine import UnicornEngine

    seed = graph.cpu_seed
    seeded = Seeded(seed.seed, seed.jitter_ns, seed.tear) if seed is not None else None
    return UnicornEngine(graph.cpu_model, graph.cpu_count, quantum=graph.cpu_quantum, seeded=seeded)
