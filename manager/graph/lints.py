# SPDX-License-Identifier: BSD-2-Clause
"""Warnings: what is allowed, and yet likely a mistake.

Each can be turned off with `allow` in the machine file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from manager.config.addresses import LOOPBACK, host_of
from manager.config.diagnostics import Diagnostic, Span
from manager.config.load import LoadedModel
from manager.config.units import MIB, show_size
from manager.devices import host
from manager.devices.node import DeviceNode
from manager.graph.network_rules import network_cards
from manager.graph.nodes import Graph, ImageBoot
from manager.graph.places import model_path
from manager.text.pattern import compile_pattern

_HUGE_PAGE = 2 * MIB
_CONSOLE = re.compile(r"console=(\S+)")
_SERIAL = re.compile(r"ttyS([0-9]+)(?:,.*)?")


def lint(loaded: LoadedModel, graph: Graph) -> list[Diagnostic]:
    """Every warning about the graph, in no particular order."""
    adviser = _Adviser(loaded, graph)
    return [
        *adviser.legacy(),
        *adviser.console_behind_pci(),
        *adviser.memory_size(),
        *adviser.unread_ready(),
        *adviser.kernel_console(),
        *adviser.empty_pattern(),
        *adviser.silent_kernel(),
        *adviser.shared_com_interrupt(),
        *adviser.open_to_the_network(),
        *adviser.hurried_network(),
    ]


class _Adviser:
    def __init__(self, loaded: LoadedModel, graph: Graph) -> None:
        self.origins = loaded.origins
        self.graph = graph
        serial = graph.serial_ports()
        nodes = list(dict.fromkeys(end.node for end in serial))
        self.com = [node for node in nodes if node.com_port and node.address is None]
        self.pci = [node for node in nodes if node.address is not None]

    def heading(self, node: DeviceNode, label: str = "") -> Span:
        return self.origins.key_span(model_path(node), label)

    def legacy(self) -> Iterator[Diagnostic]:
        for node in self.pci:
            if (com := node.com_port) is not None:
                yield Diagnostic(
                    "VM090",
                    "PCI-attached COM ports are deprecated: firmware moves their BAR, "
                    "and some guests want an ISA console",
                    self.origins.value_span((*model_path(node), "legacy")),
                    help=f"use `[lpc.{com}]` instead",
                )

    def console_behind_pci(self) -> Iterator[Diagnostic]:
        if self.pci and not self.com and not any(node.com_port for node in self.pci):
            yield Diagnostic(
                "VM100",
                "the only serial ports are in PCI slots; firmware, OpenBSD and Linux's early "
                "console look for COM1",
                self.heading(self.pci[0]),
                help='add `[lpc.com1]`, with `device = "lpc"` in a slot',
            )

    def memory_size(self) -> Iterator[Diagnostic]:
        size = self.graph.memory_size
        if size > _HUGE_PAGE and size % _HUGE_PAGE:
            above = (size // _HUGE_PAGE + 1) * _HUGE_PAGE
            yield Diagnostic(
                "VM101",
                f"{show_size(size)} is not a multiple of 2 MiB, the guest's large page",
                self.origins.value_span(("memory", "size")),
                help=f"{show_size(above - _HUGE_PAGE)} and {show_size(above)} are",
            )

    def unread_ready(self) -> Iterator[Diagnostic]:
        ready = self.graph.ready
        for node in self.graph.serial_ports():
            unread = isinstance(node.backend, host.Null)
            if ready is None or node.port_name != ready.port or not unread:
                continue
            named = ("ready", "port") in self.origins.places
            place = ("ready", "port") if named else ("ready",)
            yield Diagnostic(
                "VM102",
                f"`ready` watches {ready.port}, but you cannot: its backend is null",
                self.origins.value_span(place),
                (self.heading(node.node, "this port"),),
                help='give it a backend such as "stdio" or "pty"',
            )

    def kernel_console(self) -> Iterator[Diagnostic]:
        """Whether the serial ports of `console=` are there, and are where `ready` looks."""
        if isinstance(self.graph.boot, ImageBoot):
            return
        span = self.origins.value_span(("boot", "cmdline"))
        consoles = _CONSOLE.findall(self.graph.boot.cmdline)
        matches = [match for name in consoles if (match := _SERIAL.fullmatch(name))]
        wanted = [f"com{int(match[1]) + 1}" for match in matches]
        present = [str(node.com_port) for node in self.com]
        present += [node.com_port for node in self.pci if node.com_port is not None]
        for match, com in zip(matches, wanted, strict=True):
            if com not in present and int(match[1]) < 4:
                yield Diagnostic(
                    "VM103",
                    f"the kernel's console is ttyS{match[1]}, but the machine has no {com.upper()}",
                    span,
                    help=f"add `[lpc.{com}]`, or name another console",
                )
        ready = self.graph.ready
        if ready is not None and wanted and ready.port in present and ready.port not in wanted:
            yield Diagnostic(
                "VM104",
                f"`ready` watches {ready.port}, but the kernel's console is {wanted[-1]}",
                self.origins.value_span(("ready", "port")),
                (self.origins.value_span(("boot", "cmdline"), "the console"),),
                help=f'set `port = "{wanted[-1]}"`, unless the guest opens {ready.port} itself',
            )

    def empty_pattern(self) -> Iterator[Diagnostic]:
        ready = self.graph.ready
        for key in ("wait-for", "fail-on"):
            pattern = getattr(ready, key.replace("-", "_"), None)
            if pattern is not None and compile_pattern(pattern).matches_nothing:
                yield Diagnostic(
                    "VM105",
                    f"`{key}` matches before the guest has printed anything",
                    self.origins.value_span(("ready", key)),
                    help="write a pattern that needs at least one character",
                )

    def silent_kernel(self) -> Iterator[Diagnostic]:
        boot = self.graph.boot
        if isinstance(boot, ImageBoot) or boot.initrd is None:
            return
        if not _CONSOLE.search(boot.cmdline) and self.com:
            yield Diagnostic(
                "VM106",
                "without `console=` in `cmdline` Linux prints nothing to a serial port",
                self.origins.value_span(("boot", "cmdline")),
                help='such as cmdline = "console=ttyS0"',
            )

    def shared_com_interrupt(self) -> Iterator[Diagnostic]:
        for index, node in enumerate(self.com):
            for other in self.com[index + 1 :]:
                if node.irq == other.irq:
                    yield Diagnostic(
                        "VM107",
                        f"{node.com_port} and {other.com_port} share IRQ {node.irq}, as on any "
                        "PC; a guest that opens both may miss interrupts",
                        self.heading(other, f"IRQ {node.irq} ..."),
                        (self.heading(node, "... and here"),),
                        help="use a PCI uart for one of them",
                    )

    def open_to_the_network(self) -> Iterator[Diagnostic]:
        for node in self.graph.serial_ports():
            if not isinstance(node.backend, host.Tcp) or node.backend.listen is None:
                continue
            listen = node.backend.listen
            if not LOOPBACK.fullmatch(host_of(listen)):
                yield Diagnostic(
                    "VM108",
                    f"{node.port_name} is open to the network: any client of {listen} "
                    "gets the console",
                    self.origins.value_span((*model_path(node.node), *node.key, "listen")),
                    help="listen on 127.0.0.1, or use a unix socket",
                )

    def hurried_network(self) -> Iterator[Diagnostic]:
        """The host cannot answer in the time that an idle guest skips."""
        if self.graph.clock_mode != "virtual":
            return
        for node in network_cards(self.graph):
            if isinstance(node.network, host.UserNetwork):
                path = (*model_path(node), "network")
                yield Diagnostic(
                    "VM093",
                    "idle time is skipped, so the guest's time-outs end before the host has "
                    "answered: TCP sends everything again",
                    self.origins.value_span(path, "the host's network"),
                    (self.origins.value_span(("clock", "mode"), "the clock"),),
                    help='set `mode = "paced"`, the default',
                )
