# SPDX-License-Identifier: BSD-2-Clause
"""Pictures of a graph: which device is on which bus, and where each serial port leads to.

All forms draw the same tree: the machine, its board, PCI bus 0 behind the host bridge, the LPC bus
behind its bridge.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from manager.config.units import show_size
from manager.devices.nic import NicNode
from manager.devices.node import DeviceNode
from manager.devices.registry import short_name
from manager.graph.nodes import Graph
from manager.graph.table import (
    NOTHING,
    all_memory,
    all_ports,
    backend,
    interrupt,
    show_memory,
    show_ports,
)
from manager.lazy import dataclass
from manager.text.shown import shown


@dataclass(slots=True)
class Item:
    """A box of the picture."""

    id: str
    kind: str
    """machine, bus, device or backend."""
    name: str
    detail: str = ""
    children: list[Item] = field(default_factory=list)


def outline(graph: Graph) -> Item:
    """The tree that all forms draw."""
    root = Item(graph.name, "machine", graph.name)
    count = f"{graph.cpu_count} x " if graph.cpu_count > 1 else ""
    root.detail = f"{count}{graph.cpu_model}, {show_size(graph.memory_size)}"
    board = Item("board", "bus", "board")
    root.children.append(board)
    items = {node.id: _device(node) for node in graph.devices}
    parents: dict[str, Item] = {}
    for node in graph.devices:
        if node.BUS:
            bus = Item(f"{node.id}.bus", "bus", node.BUS)
            items[node.id].children.append(bus)
            parents[node.id] = bus
    for node in graph.devices:
        if node.parent is not None:
            parents.get(node.parent, root).children.append(items[node.id])
        elif node.id.startswith("board."):
            board.children.append(items[node.id])
        else:
            root.children.append(items[node.id])
    return root


def _device(node: DeviceNode) -> Item:
    place = node.id.removeprefix("slots.").removeprefix("lpc.").removeprefix("board.")
    kind = short_name(node.type)
    on_pci = node.address is not None and node.id.startswith("slots.")
    name = f"slot {place}: {kind}" if on_pci else place if place == kind else f"{place}: {kind}"
    facts = [f"{node.pci.vendor:04x}:{node.pci.device:04x}"] if node.pci is not None else []
    facts += [show_ports(ports) for ports in all_ports(node)]
    facts += [show_memory(place) for place in (*node.memory, *all_memory(node))]
    if (line := interrupt(node)) != NOTHING:
        facts.append(line)
    facts += [
        f"{key} {node.properties[key]}"
        for key in ("legacy", "pace", "mac")
        if key in node.properties
    ]
    item = Item(node.id, "device", name, ", ".join(facts))
    for end in node.serial_ends:
        text = f"{end.name}: {backend(end)}" if end.name else backend(end)
        item.children.append(Item(f"{end.id}.backend", "backend", text))
    if isinstance(node, NicNode) and node.network is not None:
        item.children.append(Item(f"{node.id}.network", "backend", f"network {node.network}"))
    return item


def tree(graph: Graph) -> str:
    """Lines for a terminal."""
    return "\n".join(_branch(outline(graph), "", ""))


def _branch(item: Item, first: str, rest: str) -> Iterator[str]:
    wire = [child.name for child in item.children if child.kind == "backend"]
    text = f"{item.name}  {item.detail}" if item.detail else item.name
    yield first + text + "".join(f"  => {name}" for name in wire)
    inner = [child for child in item.children if child.kind != "backend"]
    for child in inner:
        last = child is inner[-1]
        yield from _branch(
            child, rest + ("└── " if last else "├── "), rest + ("    " if last else "│   ")
        )


def mermaid(graph: Graph) -> str:
    """A Mermaid flowchart, which GitHub and many editors draw."""
    lines = ["flowchart TD"]
    shapes = {"bus": ('{{"', '"}}'), "backend": ('(["', '"])')}
    for parent, item in _edges(outline(graph)):
        opening, closing = shapes.get(item.kind, ('["', '"]'))
        label = "<br>".join(html(part) for part in (item.name, item.detail) if part)
        lines.append(f"    {mark(item.id)}{opening}{label}{closing}")
        if parent is not None:
            arrow = "-.-" if item.kind == "backend" else "---"
            lines.append(f"    {mark(parent.id)} {arrow} {mark(item.id)}")
    return "\n".join(lines)


def dot(graph: Graph) -> str:
    """A Graphviz graph."""
    lines = [f"graph {quoted(graph.name)} {{", "    rankdir=LR;", "    node [shape=box];"]
    shapes = {"bus": ", shape=hexagon", "backend": ", shape=ellipse"}
    for parent, item in _edges(outline(graph)):
        label = quoted("\n".join(part for part in (item.name, item.detail) if part))
        lines.append(f"    {quoted(item.id)} [label={label}{shapes.get(item.kind, '')}];")
        if parent is not None:
            style = " [style=dashed]" if item.kind == "backend" else ""
            lines.append(f"    {quoted(parent.id)} -- {quoted(item.id)}{style};")
    return "\n".join([*lines, "}"])


def _edges(item: Item, parent: Item | None = None) -> Iterator[tuple[Item | None, Item]]:
    yield parent, item
    for child in item.children:
        yield from _edges(child, item)


def mark(id: str) -> str:
    """A node's name in Mermaid."""
    return "n_" + "".join(char if char.isalnum() else "_" for char in id)


def html(text: str) -> str:
    """Text inside a Mermaid label, which ends with its line."""
    text = shown(text)
    for char, entity in (("&", "&amp;"), ('"', "&quot;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(char, entity)
    return text


def quoted(text: str) -> str:
    """Text in Graphviz."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
