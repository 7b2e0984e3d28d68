# SPDX-License-Identifier: BSD-2-Clause
"""A lab as tables: its machines, its links with the cards on them, its cables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from manager.config.files import show_path
from manager.config.units import format_duration, format_loss, format_rate, show_size
from manager.devices.nic import NicNode
from manager.graph.identity import identity_hash, lab_identity_hash, lab_wires, to_plain
from manager.graph.lab import End, Lab, quantum
from manager.graph.table import NOTHING
from manager.text.columns import columns

_SHORT = 12
"""Digits of a hash that tell machines of one lab apart."""


def render(lab: Lab) -> str:
    """The whole plan, without a newline at its end."""
    sections = [
        [
            f"lab       {lab.name} ({show_path(lab.source)})",
            f"clock     {lab.clock_mode}",
            f"quantum   {format_duration(quantum(lab))}",
        ],
        list(_machines(lab)),
        list(_links(lab)),
        list(_cards(lab)),
        list(_cables(lab)),
        [f"identity  {lab_identity_hash(lab)}"],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def to_json(lab: Lab) -> dict[str, Any]:
    """The plan as JSON values: times in ns, bandwidths in bits a second, losses from 0 to 1."""
    return {
        "lab": lab.name,
        "clock": lab.clock_mode,
        "quantum": quantum(lab),
        "machines": {
            name: {"graph": to_plain(graph), "identity": identity_hash(graph)}
            for name, graph in lab.members.items()
        },
        "links": {
            link.name: {
                "latency": link.latency,
                "bandwidth": link.bandwidth,
                "loss": float(format_loss(link.loss)),
                "seed": link.seed,
                "capture": str(link.capture) if link.capture is not None else None,
                "cards": [{"card": str(end), "mac": mac(lab, end)} for end in link.ends],
            }
            for link in lab.links.values()
        },
        "cables": lab_wires(lab)["cables"],
        "identity": lab_identity_hash(lab),
    }


def mac(lab: Lab, end: End) -> str:
    """The address of a card on a link."""
    node = lab.members[end.machine].device(end.device)
    return node.mac if isinstance(node, NicNode) else ""


def _machines(lab: Lab) -> Iterator[str]:
    rows = [["machine", "file", "cpu", "memory", "identity"]]
    for name, graph in lab.members.items():
        count = f"{graph.cpu_count} x " if graph.cpu_count > 1 else ""
        cpu, memory = f"{count}{graph.cpu_model}", show_size(graph.memory_size)
        rows.append([name, show_path(graph.source), cpu, memory, identity_hash(graph)[:_SHORT]])
    return columns(rows)


def _links(lab: Lab) -> Iterator[str]:
    rows = [["link", "latency", "bandwidth", "loss", "seed", "capture"]]
    for link in lab.links.values():
        capture = show_path(link.capture) if link.capture is not None else NOTHING
        loss = format_loss(link.loss)
        times = [format_duration(link.latency), format_rate(link.bandwidth)]
        rows.append([link.name, *times, loss, str(link.seed), capture])
    return columns(rows if lab.links else [])


def _cards(lab: Lab) -> Iterator[str]:
    rows = [
        [str(end), mac(lab, end), link.name] for link in lab.links.values() for end in link.ends
    ]
    return columns([["network card", "address", "link"], *rows] if rows else [])


def _cables(lab: Lab) -> Iterator[str]:
    rows = [
        [cable.name, *map(str, cable.ends), format_duration(cable.latency), str(cable.baud)]
        for cable in lab.cables.values()
    ]
    return columns([["cable", "from", "to", "latency", "baud"], *rows] if rows else [])
