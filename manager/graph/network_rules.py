# SPDX-License-Identifier: BSD-2-Clause
"""Network cards of one machine: no two have one address."""

from __future__ import annotations

from collections.abc import Iterator

from manager.config.diagnostics import Diagnostic
from manager.config.load import LoadedModel
from manager.devices.nic import NicNode
from manager.graph.nodes import Graph
from manager.graph.places import Places


def network_cards(graph: Graph) -> list[NicNode]:
    """The network cards of a machine, in graph order."""
    return [node for node in graph.devices if isinstance(node, NicNode)]


def check(loaded: LoadedModel, graph: Graph) -> Iterator[Diagnostic]:
    """Every error about network cards."""
    places = Places(loaded)
    users: dict[str, list[NicNode]] = {}
    for node in network_cards(graph):
        users.setdefault(node.mac, []).append(node)
    for mac, nodes in users.items():
        if len(nodes) > 1:
            first, *others = nodes
            yield Diagnostic(
                "VM067",
                f"{len(nodes)} network cards have the address {mac}",
                places.key(first, "mac", "here ..."),
                tuple(places.key(other, "mac", "... and here") for other in others),
                help="give each another one, or leave out `mac`",
            )
