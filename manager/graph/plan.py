# SPDX-License-Identifier: BSD-2-Clause
"""A graph as tables for people: what sits where, and which ports and interrupts it got."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from manager.config.files import show_path
from manager.config.units import show_size
from manager.graph.board import PIRQ_NAMES
from manager.graph.identity import full_hash, identity_hash
from manager.graph.nodes import Boot, DeviceNode, Graph, ImageBoot, KernelBoot, PortRange
from manager.graph.rules import show

_NONE = "-"


def render(graph: Graph) -> str:
    """The whole plan, without a newline at its end."""
    sections = [
        list(_machine(graph)),
        list(_pci(graph)),
        list(_ports(graph)),
        list(_routing(graph)),
        list(_consoles(graph)),
        [f"identity  {identity_hash(graph)}", f"full      {full_hash(graph)}"],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def _machine(graph: Graph) -> Iterator[str]:
    moment = datetime.fromtimestamp(graph.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    yield f"machine   {graph.name} ({show_path(graph.source)})"
    yield f"cpu       {graph.cpu_model}"
    yield f"memory    {show_size(graph.memory_size)}"
    yield f"clock     {graph.clock_mode}, from {moment}"
    yield from (f"boot      {line}" for line in _boot(graph.boot))


def _boot(boot: Boot) -> Iterator[str]:
    if isinstance(boot, KernelBoot):
        protocol = f", entered by {boot.protocol}" if boot.protocol is not None else ""
        yield f"kernel {show_path(boot.kernel)}{protocol}"
        if boot.initrd is not None:
            yield f"initrd {show_path(boot.initrd)}"
        yield from (f"module {module}" for module in boot.modules)
        if boot.cmdline:
            yield f"cmdline {boot.cmdline}"
    elif isinstance(boot, ImageBoot):
        where = f"at {boot.load:#x}, entered at {boot.entry:#x}, {boot.bits}-bit"
        yield f"image {show_path(boot.image)} {where}"
    else:
        yield f"firmware {show_path(boot.firmware)}"


def _pci(graph: Graph) -> Iterator[str]:
    rows = []
    for node in graph.devices:
        if node.address is not None and node.pci is not None:
            bars = (show(PortRange(bar.base, bar.length)) for bar in node.bars)
            ids = f"{node.pci.vendor:04x}:{node.pci.device:04x}"
            code = f"{node.pci.class_code:06x}"
            what = [node.id.removeprefix("slots."), node.type, ids, code]
            rows.append([*what, ", ".join(bars) or _NONE, _interrupt(node)])
    if rows:
        yield from _table(["slot", "device", "id", "class", "bars", "interrupt"], rows)


def _interrupt(node: DeviceNode) -> str:
    steps = [f"INT{PIRQ_NAMES[node.pin - 1]}"] if node.pin else []
    if node.pirq is not None:
        steps.append(f"PIRQ {PIRQ_NAMES[node.pirq]}")
    if node.irq is not None:
        steps.append(f"IRQ {node.irq}")
    return " -> ".join(steps) or _NONE


def _ports(graph: Graph) -> Iterator[str]:
    rows = []
    for node in graph.devices:
        ranges = list(node.ports) + [PortRange(bar.base, bar.length) for bar in node.bars]
        for ports in ranges:
            irq = str(node.irq) if node.irq is not None else _NONE
            rows.append((ports.base, [show(ports), irq, node.id, node.type]))
    yield from _table(["ports", "irq", "owner", "device"], [row for _, row in sorted(rows)])


def _routing(graph: Graph) -> Iterator[str]:
    bridge = next((node for node in graph.devices if node.type == "lpc"), None)
    if bridge is not None:
        routes = [f"{name} -> IRQ {bridge.properties[f'pirq_{name.lower()}']}" for name in "ABCD"]
        yield f"PIRQ routing  {', '.join(routes)}"


def _consoles(graph: Graph) -> Iterator[str]:
    rows = []
    for node in graph.serial_ports():
        assert node.backend is not None
        options = (f"{key} {item}" for key, item in node.backend.options.items())
        rows.append([node.port_name, " ".join([node.backend.type, *options])])
    if rows:
        yield from _table(["console", "backend"], rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        yield "  ".join(cells).rstrip()
