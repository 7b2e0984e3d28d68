# SPDX-License-Identifier: BSD-2-Clause
"""Which engine runs a machine that is given none."""

from __future__ import annotations

from manager.cpu.engine import PcEngine
from manager.graph.nodes import Graph


def make(graph: Graph) -> PcEngine:
    """A fresh engine with the CPUs of `graph`. Raises HostError if there is none on this host."""
    from manager.cpu.unicorn.engine import UnicornEngine

    return UnicornEngine(graph.cpu_model, graph.cpu_count, quantum=graph.cpu_quantum)
