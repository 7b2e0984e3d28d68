# SPDX-License-Identifier: BSD-2-Clause
"""What is wrong between the machines of a lab, and what is likely a mistake."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from manager.config.diagnostics import Diagnostic, Span
from manager.config.labs import LoadedLab
from manager.config.load import LoadedModel
from manager.config.scan import KeyPath
from manager.config.suggest import did_you_mean
from manager.devices import host
from manager.devices.nic import NicNode
from manager.devices.node import DeviceNode, SerialEnd
from manager.graph import end_rules
from manager.graph.lab import MOST_CARDS
from manager.graph.network_rules import network_cards
from manager.graph.nodes import Graph
from manager.graph.places import Places

Machines = Mapping[str, tuple[LoadedModel, Graph]]
"""By name: each one that is right by itself, its graph, and where that was written."""


def check(loaded: LoadedLab, machines: Machines) -> Iterator[Diagnostic]:
    """Every error; machines that are wrong by themselves are not among `machines`."""
    judge = _Judge(loaded, machines)
    yield from judge.links()
    yield from judge.cables()
    yield from judge.clocks()
    yield from judge.images()
    captures = [
        (Path(table.capture), ("links", name, "capture"))
        for name, table in loaded.model.links.items()
        if table.capture is not None
    ]
    yield from end_rules.check_several(machines, captures, Places(loaded))


def lint(loaded: LoadedLab, machines: Machines) -> Iterator[Diagnostic]:
    """Every warning about the wires; the lab is whole and has no error."""
    judge = _Judge(loaded, machines)
    yield from judge.idle_links()
    yield from judge.lonely_machines()
    yield from judge.pipes()


def serial_port(graph: Graph, name: str) -> SerialEnd | None:
    """The serial port that a cable names: com1 to com4, or the id of a PCI uart."""
    ports = graph.serial_ports()
    return next((node for node in ports if name in (node.port_name, node.id)), None)


class _Judge:
    def __init__(self, loaded: LoadedLab, machines: Machines) -> None:
        self.lab = loaded
        self.origins = loaded.origins
        self.machines = machines

    def cards(self) -> Iterator[tuple[str, NicNode, str]]:
        """Each card that is to be on a link: its machine, the card, the link's name."""
        for name, (_, graph) in self.machines.items():
            for node in network_cards(graph):
                if isinstance(node.network, host.LinkEnd):
                    yield name, node, node.network.name

    def at(self, machine: str, node: DeviceNode, key: str, label: str = "") -> Span:
        return Places(self.machines[machine][0]).key(node, key, label)

    def backend(self, machine: str, end: SerialEnd, label: str) -> Span:
        return Places(self.machines[machine][0]).backend(end, label)

    def links(self) -> Iterator[Diagnostic]:
        on: dict[str, list[tuple[str, NicNode]]] = {name: [] for name in self.lab.model.links}
        for name, node, link in self.cards():
            if link in on:
                on[link].append((name, node))
                continue
            help = did_you_mean(link, on) if on else None
            yield Diagnostic(
                "VM036",
                f'{name} has a card on "{link}", and the lab has no such link',
                self.at(name, node, "network"),
                (self.origins.key_span(("machines", name), "the machine is in the lab here"),),
                help=help or f"add `[links.{link}]` to the lab",
            )
        for link, cards in on.items():
            if len(cards) > MOST_CARDS:
                place = self.origins.key_span(("links", link))
                message = f"{len(cards)} cards are on `{link}`"
                yield Diagnostic("VM014", message, place, help=f"{MOST_CARDS} at most")
            yield from self._addresses(link, cards)

    def _addresses(self, link: str, cards: list[tuple[str, NicNode]]) -> Iterator[Diagnostic]:
        users: dict[str, list[tuple[str, NicNode]]] = {}
        for name, node in cards:
            users.setdefault(node.mac, []).append((name, node))
        for mac, same in users.items():
            if len(same) > 1:
                (name, node), *others = same
                yield Diagnostic(
                    "VM067",
                    f"{len(same)} network cards on `{link}` have the address {mac}",
                    self.at(name, node, "mac", f"here, of {name} ..."),
                    tuple(
                        self.at(*other, "mac", f"... and here, of {other[0]}") for other in others
                    ),
                    help="give each another one, or leave out `mac`",
                )

    def cables(self) -> Iterator[Diagnostic]:
        uses: dict[tuple[str, str], list[KeyPath]] = {}
        for name, cable in self.lab.model.cables.items():
            for number, text in enumerate(cable.ends):
                at = ("cables", name, "ends", number)
                machine, _, port = text.partition(".")
                if machine not in self.lab.model.machines:
                    help = did_you_mean(machine, self.lab.model.machines)
                    message = f"the lab has no machine `{machine}`"
                    yield Diagnostic("VM037", message, self.origins.value_span(at), help=help)
                elif machine in self.machines:
                    graph = self.machines[machine][1]
                    node = serial_port(graph, port)
                    if node is None:
                        names = [item.port_name for item in graph.serial_ports()]
                        help = did_you_mean(port, names) if names else None
                        help = help or f"add `[{_table_of(port)}]` to its file"
                        message = f"{machine} has no serial port {port}"
                        place = self.origins.value_span(at)
                        yield Diagnostic("VM037", message, place, help=help)
                        continue
                    uses.setdefault((machine, node.id), []).append(at)
                    if not isinstance(node.backend, host.Null):
                        yield Diagnostic(
                            "VM038",
                            f"{port} of {machine} has a backend, and a cable to it",
                            self.origins.value_span(at, "the cable"),
                            (self.backend(machine, node, "the backend"),),
                            help="leave out `backend`",
                        )
        for (machine, _), places in uses.items():
            if len(places) > 1:
                first, *others = places
                yield Diagnostic(
                    "VM038",
                    f"{len(places)} ends of cables are in one port of {machine}",
                    self.origins.value_span(first, "here ..."),
                    tuple(self.origins.value_span(other, "... and here") for other in others),
                    help="a port has room for one",
                )

    def clocks(self) -> Iterator[Diagnostic]:
        modes: dict[str, list[str]] = {}
        for name, (_, graph) in self.machines.items():
            modes.setdefault(graph.clock_mode, []).append(name)
        if len(modes) > 1:
            one, other = (names[0] for names in modes.values())
            yield Diagnostic(
                "VM039",
                "the clocks of the machines have different modes",
                self._clock(one),
                (self._clock(other),),
                help='give all the same `[clock] mode`: "paced", the default, or "virtual"',
            )

    def _clock(self, name: str) -> Span:
        loaded, graph = self.machines[name]
        label = f"{name} is {graph.clock_mode}"
        if ("clock", "mode") in loaded.origins.places:
            return loaded.origins.value_span(("clock", "mode"), label)
        return self.origins.value_span(("machines", name, "file"), label)

    def images(self) -> Iterator[Diagnostic]:
        """An image that one machine writes directly is that machine's alone."""
        users: dict[str, list[tuple[str, str, bool]]] = {}
        for name, (_, graph) in self.machines.items():
            for disk in graph.disks:
                if disk.image is not None:
                    use = (name, disk.name, disk.mode == "direct")
                    users.setdefault(os.path.realpath(disk.image), []).append(use)
        for path, uses in users.items():
            if len({name for name, _, _ in uses}) > 1 and any(direct for _, _, direct in uses):
                spans = [
                    self.machines[name][0].origins.value_span(
                        ("disks", disk, "image"), f"a disk of {name}"
                    )
                    for name, disk, _ in uses
                ]
                message = f"{Path(path).name} is the image of {len(uses)} disks, and one writes it"
                help = 'take mode = "overlay", or give each a copy'
                yield Diagnostic("VM066", message, spans[0], tuple(spans[1:]), help=help)

    def idle_links(self) -> Iterator[Diagnostic]:
        ends = [link for _, _, link in self.cards()]
        for name in self.lab.model.links:
            count = ends.count(name)
            if count < 2:
                yield Diagnostic(
                    "VM091",
                    f"{'one card is' if count else 'no card is'} on the link `{name}`",
                    self.origins.key_span(("links", name)),
                    help=f'a card is on it that has network = "{name}"',
                )

    def lonely_machines(self) -> Iterator[Diagnostic]:
        wired = {name for name, _, _ in self.cards()}
        wired |= {name for ends in self._pipes() for name, _ in ends}
        for cable in self.lab.model.cables.values():
            wired |= {text.partition(".")[0] for text in cable.ends}
        for name in self.machines:
            if name not in wired:
                yield Diagnostic(
                    "VM092",
                    f"{name} is on no link and no cable of the lab",
                    self.origins.key_span(("machines", name)),
                    help="give it a network card, or let it run by itself",
                )

    def pipes(self) -> Iterator[Diagnostic]:
        """A pipe between two machines of the lab is the host's, and so is its time."""
        for (one, node), (two, other) in self._pipes():
            yield Diagnostic(
                "VM094",
                f"{one} and {two} are joined by a pipe of the host, whose time is the host's",
                self.backend(one, node, "one end ..."),
                (self.backend(two, other, "... and the other"),),
                help=f"leave out `backend`, and add a cable to the lab: ends = "
                f'["{one}.{node.port_name}", "{two}.{other.port_name}"]',
            )

    def _pipes(self) -> list[list[tuple[str, SerialEnd]]]:
        """The two ends of each pipe that has them in two machines."""
        pipes: dict[str, list[tuple[str, SerialEnd]]] = {}
        for name, (_, graph) in self.machines.items():
            for node in graph.serial_ports():
                if isinstance(node.backend, host.Pipe):
                    pipes.setdefault(os.path.realpath(node.backend.path), []).append((name, node))
        return [ends for ends in pipes.values() if len({name for name, _ in ends}) > 1]


def _table_of(port: str) -> str:
    return port if "." in port else f"lpc.{port}"
