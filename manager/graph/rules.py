# SPDX-License-Identifier: BSD-2-Clause
"""Conflicts between the devices of one machine."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from manager.config.diagnostics import Diagnostic
from manager.config.load import LoadedModel
from manager.config.suggest import did_you_mean
from manager.config.units import show_size
from manager.devices.claims import PortRange
from manager.devices.node import LPC_BUS, PCI_BUS, DeviceNode
from manager.graph import disk_rules, end_rules, network_rules
from manager.graph.memory_map import is_ram, memory_map
from manager.graph.nodes import Graph, ImageBoot
from manager.graph.places import Places
from manager.graph.possible import impossible
from manager.graph.table import all_ports, show_ports


def check(loaded: LoadedModel, graph: Graph) -> list[Diagnostic]:
    """Every error about the graph, in no particular order."""
    judge = _Judge(loaded, graph)
    return [
        *judge.claims(),
        *judge.bridges(),
        *judge.functions(),
        *judge.ports(),
        *judge.memory(),
        *judge.interrupts(),
        *end_rules.check(loaded, graph),
        *disk_rules.check(loaded, graph),
        *network_rules.check(loaded, graph),
        *judge.addresses(),
        *judge.readiness(),
    ]


class _Judge(Places):
    def __init__(self, loaded: LoadedModel, graph: Graph) -> None:
        super().__init__(loaded)
        self.ready_port = loaded.model.ready.port if loaded.model.ready is not None else None
        self.graph = graph
        self.pci = [node for node in graph.devices if node.id.startswith("slots.")]
        self.lpc = [node for node in graph.devices if node.id.startswith("lpc.")]

    def claims(self) -> Iterator[Diagnostic]:
        for node in (*self.pci, *self.lpc):
            for fault in impossible(node):
                place = self.key(node, "device")
                yield Diagnostic("VM055", f"{node.id}: {fault}", place, help="correct its claim()")

    def bridges(self) -> Iterator[Diagnostic]:
        hosts = [node for node in self.pci if node.BUS == PCI_BUS]
        bridges = [node for node in self.pci if node.BUS == LPC_BUS]
        for code, name, nodes in (("VM044", "host", hosts), ("VM042", "LPC", bridges)):
            if len(nodes) > 1:
                first, *others = nodes
                seconds = tuple(self.table(node, "... and another") for node in others)
                yield Diagnostic(
                    code,
                    f"a machine has at most one {name} bridge",
                    self.table(first, "one here ..."),
                    seconds,
                    help="keep one of them",
                )
        if self.pci and not hosts:
            yield Diagnostic(
                "VM043",
                "a PCI bus needs a host bridge",
                self.table(self.pci[0], "this sits on PCI bus 0"),
                help='add `[slots.0]` with `device = "hostbridge"`',
            )
        if self.lpc and not bridges:
            first, *others = self.lpc
            yield Diagnostic(
                "VM041",
                "the machine has no LPC bridge for its `[lpc.*]` devices",
                self.table(first),
                tuple(self.table(node) for node in others),
                help='add `[slots.31]` with `device = "lpc"`',
            )

    def functions(self) -> Iterator[Diagnostic]:
        slots: dict[int, list[DeviceNode]] = {}
        for node in self.pci:
            assert node.address is not None
            slots.setdefault(node.address.slot, []).append(node)
        for slot, nodes in slots.items():
            if all(node.address and node.address.function for node in nodes):
                yield Diagnostic(
                    "VM040",
                    f"slot {slot} has no function 0, so no guest looks for its other functions",
                    self.table(nodes[0]),
                    help=f"add `[slots.{slot}]`, or renumber this one to be it",
                )

    def ports(self) -> Iterator[Diagnostic]:
        """Overlaps between neighbours, once the ranges are in order."""
        claims: list[tuple[PortRange, DeviceNode]] = []
        hosts = [node for node in self.graph.devices if node.BUS == PCI_BUS]
        around = [ports for node in hosts for ports in node.ports]
        for node in self.graph.devices:
            if node in hosts[1:]:
                continue  # a second host bridge is an error of its own
            claims += [(ports, node) for ports in all_ports(node)]
            claims += [
                (ports, node)
                for ports in node.nested_ports
                if not any(outer.base <= ports.base and ports.end <= outer.end for outer in around)
            ]
        claims.sort(key=lambda claim: (claim[0].base, claim[0].end))
        for (ports, node), (others, other) in pairwise(claims):
            if others.base < ports.end:
                yield self._overlap(node, other, PortRange(others.base, 1), ports, others)

    def _overlap(
        self, one: DeviceNode, two: DeviceNode, at: PortRange, ports: PortRange, others: PortRange
    ) -> Diagnostic:
        legacy = [node for node in (one, two) if node.com_port and node.address is not None]
        if len(legacy) == 1 and one.com_port and two.com_port:
            lpc = two if legacy[0] is one else one
            return Diagnostic(
                "VM053",
                f"{legacy[0].id} and {lpc.id} are both {legacy[0].com_port}",
                self.key(legacy[0], "legacy", f"a PCI-attached COM port at {show_ports(ports)}"),
                (self.table(lpc, "the LPC bridge has it already"),),
                help="remove `legacy`; the PCI uart then gets ports of its own",
            )
        spans = [
            self.key(node, "legacy" if node in legacy else "port", show_ports(claim))
            for node, claim in ((one, ports), (two, others))
            if _is_placed(node)
        ]
        names = " and ".join(_called(node) for node in (one, two))
        message = f"port {at.base:#x} is claimed by {names}"
        return Diagnostic("VM050", message, spans[0], tuple(spans[1:]), help="move one of them")

    def memory(self) -> Iterator[Diagnostic]:
        """Overlaps between neighbours, RAM among them."""
        for one, two in pairwise(memory_map(self.graph)):
            if one.end <= two.base:
                continue
            owners = [self.graph.device(region.owner) for region in (one, two)]
            spans = [self.table(node) for node in owners if node is not None and _is_placed(node)]
            if not spans:
                continue  # a ROM that is too large: the boot says so
            names = " and ".join(
                _called(node) if node is not None else region.kind
                for node, region in zip(owners, (one, two), strict=True)
            )
            message = f"address {two.base:#x} is claimed by {names}"
            yield Diagnostic("VM052", message, spans[0], tuple(spans[1:]), "move one of them")

    def interrupts(self) -> Iterator[Diagnostic]:
        """ISA lines are edge-triggered and PCI pins are level-triggered: one line cannot be both.

        COM ports that share a line are fine, as on any PC: OUT2 says which one drives it. The
        board's interrupts are the board's alone.
        """
        edge = "edge-triggered, from the LPC bridge"
        for number, node in enumerate(self.lpc):
            if node.irq is None:
                continue
            rivals = [other for other in self.graph.devices if other.irq == node.irq]
            for other in rivals:
                if other in self.pci and other.com_port and other.com_port != node.com_port:
                    yield Diagnostic(
                        "VM051",
                        f"{other.id} and {node.id} cannot share IRQ {node.irq}",
                        self.key(other, "legacy", "level-triggered, from a PCI pin"),
                        (self.table(node, edge),),
                        help="remove `legacy`; the PCI uart then gets an interrupt of its own",
                    )
                    continue
                shared = node.com_port and other.com_port
                if not shared and other not in self.lpc[: number + 1]:
                    yield Diagnostic(
                        "VM051",
                        f"{node.id} and {_called(other)} cannot share IRQ {node.irq}",
                        self.table(node, edge),
                        (self.table(other),) if _is_placed(other) else (),
                        help=f"give {node.id} another interrupt",
                    )

    def addresses(self) -> Iterator[Diagnostic]:
        boot = self.graph.boot
        if not isinstance(boot, ImageBoot):
            return
        for key, address in (("load", boot.load), ("entry", boot.entry)):
            if not is_ram(self.graph.memory_size, address):
                yield Diagnostic(
                    "VM033",
                    f"`{key}` is {address:#x}, where the machine has no memory",
                    self.origins.value_span(("boot", key)),
                    help=f"it has {show_size(self.graph.memory_size)} of memory; "
                    "`vmmgr plan` shows where",
                )

    def readiness(self) -> Iterator[Diagnostic]:
        ready = self.graph.ready
        names = [node.port_name for node in self.graph.serial_ports()]
        if ready is None or ready.port in names:
            return
        if self.ready_port is None:
            message, span = "the machine has no serial port", self.origins.key_span(("ready",))
        else:
            message = f'the machine has no serial port "{self.ready_port}"'
            span = self.origins.value_span(("ready", "port"))
        yield Diagnostic("VM062", message, span, help=did_you_mean(ready.port, names))


def _is_placed(node: DeviceNode) -> bool:
    """Whether the machine file has a table for it."""
    return not node.id.startswith("board.")


def _called(node: DeviceNode) -> str:
    return node.LABEL or node.id
