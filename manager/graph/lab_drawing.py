# SPDX-License-Identifier: BSD-2-Clause
"""Pictures of a lab: machines as boxes, links and cables between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from manager.config.units import format_duration, format_loss, format_rate, show_size
from manager.graph.drawing import html, mark, quoted
from manager.graph.lab import Lab


class _Wire(NamedTuple):
    """A link or a cable, and where it is plugged in."""

    kind: str
    name: str
    detail: str
    ends: tuple[tuple[str, str], ...]
    """The machine, and the card or port."""


def _wires(lab: Lab) -> Iterator[_Wire]:
    for link in lab.links.values():
        facts = [format_duration(link.latency), f"{format_rate(link.bandwidth)}bit/s"]
        facts += [f"loss {format_loss(link.loss)}"] if link.loss else []
        yield _Wire("link", link.name, ", ".join(facts), link.ends)
    for cable in lab.cables.values():
        detail = f"{format_duration(cable.latency)}, {cable.baud} baud"
        ends = tuple((end.machine, end.device.removeprefix("lpc.")) for end in cable.ends)
        yield _Wire("cable", cable.name, detail, ends)


def _machines(lab: Lab) -> Iterator[tuple[str, str]]:
    for name, graph in lab.members.items():
        count = f"{graph.cpu_count} x " if graph.cpu_count > 1 else ""
        yield name, f"{count}{graph.cpu_model}, {show_size(graph.memory_size)}"


def tree(lab: Lab) -> str:
    """Lines for a terminal: what is on each wire, and the machines without one."""
    lines = [lab.name]
    branches: list[tuple[str, list[str]]] = []
    details = dict(_machines(lab))
    lonely = set(details)
    for wire in _wires(lab):
        leaves = [f"{name} {port}  {details[name]}" for name, port in wire.ends]
        lonely -= {name for name, _ in wire.ends}
        branches.append((f"{wire.kind} {wire.name}  {wire.detail}", leaves))
    branches += [(f"{name}  {details[name]}", []) for name in details if name in lonely]
    for number, (head, leaves) in enumerate(branches):
        last = number == len(branches) - 1
        lines.append(("└── " if last else "├── ") + head)
        for place, leaf in enumerate(leaves):
            inner = "└── " if place == len(leaves) - 1 else "├── "
            lines.append(("    " if last else "│   ") + inner + leaf)
    return "\n".join(lines)


def mermaid(lab: Lab) -> str:
    """A Mermaid flowchart, which GitHub and many editors draw."""
    lines = ["flowchart LR"]
    for name, detail in _machines(lab):
        lines.append(f'    {mark("m." + name)}["{html(name)}<br>{html(detail)}"]')
    for wire in _wires(lab):
        label = f"{html(wire.name)}<br>{html(wire.detail)}"
        place = mark(f"{wire.kind}.{wire.name}")
        shape = f'{{{{"{label}"}}}}' if wire.kind == "link" else f'(["{label}"])'
        lines.append(f"    {place}{shape}")
        for name, port in wire.ends:
            lines.append(f"    {mark('m.' + name)} -- {html(port)} --- {place}")
    return "\n".join(lines)


def dot(lab: Lab) -> str:
    """A Graphviz graph."""
    lines = [f"graph {quoted(lab.name)} {{", "    rankdir=LR;", "    node [shape=box];"]
    for name, detail in _machines(lab):
        label = quoted(f"{name}\n{detail}")
        lines.append(f"    {quoted('machine ' + name)} [label={label}];")
    for wire in _wires(lab):
        place, label = quoted(f"{wire.kind} {wire.name}"), quoted(f"{wire.name}\n{wire.detail}")
        shape = "hexagon" if wire.kind == "link" else "ellipse"
        lines.append(f"    {place} [label={label}, shape={shape}];")
        for name, port in wire.ends:
            end = quoted("machine " + name)
            lines.append(f"    {end} -- {place} [label={quoted(port)}];")
    return "\n".join([*lines, "}"])
