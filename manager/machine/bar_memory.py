# SPDX-License-Identifier: BSD-2-Clause
"""Memory behind BARs: what a machine has of it, and where its homes are."""

from __future__ import annotations

from manager.bus.memory import home
from manager.graph.nodes import Graph


def layout(graph: Graph) -> list[tuple[int, int]]:
    """(home, length) of all of it, ascending."""
    return sorted(
        (home(node.address.slot, node.address.function, bar.index), bar.length)
        for node in graph.devices
        if node.address is not None
        for bar in node.memory_bars
        if bar.ram
    )
