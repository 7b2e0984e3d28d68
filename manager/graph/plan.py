# SPDX-License-Identifier: BSD-2-Clause
"""A graph as tables: what is where, and its ports and interrupts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from manager.config.files import show_path
from manager.config.units import format_duration, show_size
from manager.devices.node import LPC_BUS, SerialEnd
from manager.graph.identity import full_hash, identity_hash, to_plain
from manager.graph.memory_map import memory_map
from manager.graph.network_rules import network_cards
from manager.graph.nodes import Boot, Graph, ImageBoot, KernelBoot
from manager.graph.table import (
    NOTHING,
    PIN_NAMES,
    all_memory,
    all_ports,
    backend,
    interrupt,
    show_memory,
    show_ports,
)
from manager.text.columns import columns
from manager.text.shown import shown

_CONSOLE_ARGUMENT = "console=ttyS"


def render(graph: Graph, protocol: str | None = None) -> str:
    """The whole plan, without a newline at its end.

    `protocol` is how the kernel will be entered, for a file that leaves it to the kernel's content.
    """
    sections = [
        list(_machine(graph, protocol)),
        list(_pci(graph)),
        list(_ports(graph)),
        list(_memory(graph)),
        list(_routing(graph)),
        list(_consoles(graph)),
        list(_networks(graph)),
        [f"identity  {identity_hash(graph)}", f"full      {full_hash(graph)}"],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def to_json(graph: Graph, protocol: str | None = None) -> dict[str, Any]:
    """The plan as JSON values; see `render`."""
    return {
        "protocol": protocol,
        "graph": to_plain(graph),
        "memory-map": [
            {"base": r.base, "length": r.length, "kind": r.kind, "owner": r.owner}
            for r in memory_map(graph)
        ],
        "consoles": [
            {"port": node.port_name, "backend": backend(node), "roles": _roles(graph, node)}
            for node in graph.serial_ports()
        ],
        "identity": identity_hash(graph),
        "full": full_hash(graph),
    }


def _machine(graph: Graph, protocol: str | None) -> Iterator[str]:
    moment = datetime.fromtimestamp(graph.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    yield f"machine   {graph.name} ({show_path(graph.source)})"
    yield f"cpu       {_cpus(graph)}"
    yield f"memory    {show_size(graph.memory_size)}"
    yield f"clock     {graph.clock_mode}, from {moment}"
    yield from (f"boot      {line}" for line in _boot(graph.boot, protocol))


def _cpus(graph: Graph) -> str:
    """Model and, where there are several or a seed, how they share time."""
    text = graph.cpu_model
    if graph.cpu_count > 1:
        text = f"{graph.cpu_count} x {text}, APIC ids 0-{graph.cpu_count - 1}, "
        text += f"in turns of {format_duration(graph.cpu_quantum)}"
    if (seed := graph.cpu_seed) is not None:
        torn = ", torn accesses" if seed.tear and graph.cpu_count > 1 else ""
        text += f", by seed {seed.seed}, jitter {format_duration(seed.jitter_ns)}{torn}"
    return text


def _boot(boot: Boot, protocol: str | None) -> Iterator[str]:
    if isinstance(boot, KernelBoot):
        way = boot.protocol or protocol
        entered = f", entered by {way}" if way is not None else ""
        yield f"kernel {show_path(boot.kernel)}{entered}"
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
        if boot.order:
            yield f"boot order {', '.join(boot.order)}"


def _pci(graph: Graph) -> Iterator[str]:
    rows = []
    for node in graph.devices:
        if node.address is not None and node.pci is not None:
            bars = [show_ports(ports) for ports in all_ports(node)] if node.bars else []
            bars += [show_memory(memory) for memory in all_memory(node)]
            ids = f"{node.pci.vendor:04x}:{node.pci.device:04x}"
            code = f"{node.pci.class_code:06x}"
            what = [node.id.removeprefix("slots."), node.type, ids, code]
            rows.append([*what, ", ".join(bars) or NOTHING, interrupt(node)])
    if rows:
        yield from columns([["slot", "device", "id", "class", "bars", "interrupt"], *rows])


def _ports(graph: Graph) -> Iterator[str]:
    rows = []
    for node in graph.devices:
        irq = str(node.irq) if node.irq is not None else NOTHING
        for ports in all_ports(node):
            rows.append((ports.base, [show_ports(ports), irq, node.id, node.type]))
    heads = ["ports", "irq", "owner", "device"]
    yield from columns([heads, *(row for _, row in sorted(rows))])


def _memory(graph: Graph) -> Iterator[str]:
    rows = []
    for region in memory_map(graph):
        span = f"{region.base:#011x}-{region.end - 1:#011x}"
        rows.append([span, show_size(region.length), f"{region.kind} {region.owner}".rstrip()])
    yield from columns([["memory", "size", "what"], *rows])


def _routing(graph: Graph) -> Iterator[str]:
    bridge = graph.bridge(LPC_BUS)
    if bridge is not None:
        routed = zip(PIN_NAMES, bridge.pirq_routing, strict=False)
        routes = [f"{name} -> IRQ {irq}" for name, irq in routed]
        yield f"PIRQ routing  {', '.join(routes)}"


def _consoles(graph: Graph) -> Iterator[str]:
    rows = []
    for node in graph.serial_ports():
        roles = ", ".join(_roles(graph, node)) or NOTHING
        rows.append([node.port_name, backend(node), roles])
    if rows:
        yield from columns([["console", "backend", "role"], *rows])


def _networks(graph: Graph) -> Iterator[str]:
    rows = [
        [node.id, node.mac, shown(str(node.network)) if node.network is not None else NOTHING]
        for node in network_cards(graph)
    ]
    if rows:
        yield from columns([["network card", "address", "network"], *rows])


def _roles(graph: Graph, node: SerialEnd) -> list[str]:
    """What a port is for, as far as the machine file says."""
    roles = []
    cmdline = "" if isinstance(graph.boot, ImageBoot) else graph.boot.cmdline
    if node.com_port is not None and node.port_name == node.com_port:
        number = int(node.com_port.removeprefix("com")) - 1
        words = (word.split(",")[0] for word in cmdline.split())
        if f"{_CONSOLE_ARGUMENT}{number}" in words:
            roles.append("kernel console")
    if graph.ready is not None and graph.ready.port == node.port_name:
        roles.append("ready")
    return roles
