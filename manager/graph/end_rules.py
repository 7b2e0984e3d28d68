# SPDX-License-Identifier: BSD-2-Clause
"""What a machine takes on the host: a terminal, addresses to listen on, files; each for one use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from manager.config.addresses import ALL, ALL_IPV4, overlap, where
from manager.config.diagnostics import Diagnostic, Span
from manager.config.files import show_path
from manager.config.load import LoadedModel
from manager.config.scan import KeyPath
from manager.devices import host
from manager.devices.node import DeviceNode
from manager.graph.boot_files import boot_files
from manager.graph.nodes import Graph
from manager.graph.places import Places, model_path
from manager.lazy import dataclass

ENDS_OF_A_PIPE = 2


@dataclass(frozen=True, slots=True)
class _Use:
    """One use of something on the host."""

    kind: str
    """stdio, tcp, udp, path, pipe, or what a device calls it."""
    end: str
    """The terminal, address or path, as it is written."""
    path: KeyPath
    """Where it is written, below the root."""
    by: str
    """A port, a device, gdb or the trace."""
    places: Places
    machine: str
    """Its name, where there are several."""
    sockets: tuple[tuple[str, int], ...] = ()
    real: str = ""

    def collides(self, other: _Use) -> bool:
        """Whether both cannot be had at the same time; two ends of a pipe can."""
        if {self.kind, other.kind} & {"tcp", "udp"}:
            pairs = ((one, two) for one in self.sockets for two in other.sockets)
            return self.kind == other.kind and any(overlap(*pair) for pair in pairs)
        if self.real or other.real:
            return self.real == other.real
        return (self.kind, self.end) == (other.kind, other.end)


def check(loaded: LoadedModel, graph: Graph) -> Iterator[Diagnostic]:
    """Every error about them."""
    uses = list(_uses(graph, Places(loaded)))
    yield from _conflicts(uses)
    yield from _overwritten(uses, loaded, graph)


def check_several(
    machines: Mapping[str, tuple[LoadedModel, Graph]],
    captures: Sequence[tuple[Path, KeyPath]],
    lab: Places,
) -> Iterator[Diagnostic]:
    """Every error between machines of a lab, each of which is right by itself.

    `captures` are the files that the lab itself writes, and where it says so. The terminal is no
    conflict: it is with one of the machines at a time.
    """
    uses = [
        _Use("path", show_path(path), at, "link", lab, "", real=os.path.realpath(path))
        for path, at in captures
    ]
    for name, (loaded, graph) in machines.items():
        found = _uses(graph, Places(loaded), name)
        uses += [use for use in found if use.kind != "stdio"]
    yield from _conflicts(uses)


def _conflicts(uses: Sequence[_Use]) -> Iterator[Diagnostic]:
    groups: list[list[_Use]] = []
    for use in uses:
        for group in groups:
            if any(use.collides(other) for other in group):
                group.append(use)
                break
        else:
            groups.append([use])
    for group in groups:
        allowed = ENDS_OF_A_PIPE if all(use.kind == "pipe" for use in group) else 1
        if len(group) > allowed:
            yield _conflict(group)


def _uses(graph: Graph, places: Places, machine: str = "") -> Iterator[_Use]:
    def use(kind: str, end: str, at: KeyPath, by: str, **more: Any) -> _Use:
        return _Use(kind, end, at, by, places, machine, **more)

    for node in graph.devices:
        for below, resource in _resources(node):
            at = (*model_path(node), *below)
            match resource:
                case host.Tcp(listen=str() as listen):
                    yield use("tcp", listen, at, "port", sockets=tuple(where(listen)))
                case host.Pipe(path):
                    yield use("pipe", str(path), at, "port", real=os.path.realpath(path))
                case host.Backend() if resource.exclusive and resource.exclusive != "stdio":
                    end = resource.exclusive
                    yield use("path", end, at, "port", real=os.path.realpath(end))
                case host.Backend() if resource.exclusive:
                    yield use("stdio", resource.exclusive, at, "port")
                case host.LinkEnd() | host.UserNetwork() | host.SocketNetwork():
                    yield from _of_a_card(resource, at, use)
                case _ if resource.exclusive:
                    yield use(type(resource).__name__, resource.exclusive, at, "device")
    if (gdb := graph.gdb) is not None:
        at = ("gdb", "listen")
        if gdb.is_path:
            yield use("path", gdb.listen, at, "gdb", real=os.path.realpath(gdb.listen))
        else:
            yield use("tcp", gdb.listen, at, "gdb", sockets=tuple(where(gdb.listen)))
    if (trace := graph.debug.trace_file) is not None:
        at = ("debug", "trace-file")
        yield use("path", str(trace), at, "trace", real=os.path.realpath(trace))


def _resources(node: DeviceNode) -> Iterator[tuple[KeyPath, host.HostResource]]:
    """All that a device has on the host, and where below its table that is written."""
    yield from ((end.key, end.backend) for end in node.serial_ends)
    for key, resource in node.host_resources.items():
        if key != "backend":
            yield (key,), resource


def _of_a_card(network: host.Network, at: KeyPath, use: Callable[..., _Use]) -> Iterator[_Use]:
    if isinstance(network, host.UserNetwork):
        for number, forward in enumerate(network.forward):
            listen = forward.partition(" ")[0]
            kind = "udp" if forward.endswith("/udp") else "tcp"
            place = (*at, "forward", number)
            yield use(kind, listen, place, "port", sockets=tuple(where(listen)))
    if isinstance(network, host.SocketNetwork):
        end = network.listen or network.connect
        yield use("pipe", str(end), at, "network card", real=os.path.realpath(str(end)))
    if network.capture is not None:
        path = network.capture
        place = (*at, "capture")
        yield use("path", str(path), place, "capture", real=os.path.realpath(path))


def _conflict(group: list[_Use]) -> Diagnostic:
    first, *others = group
    ends = list(dict.fromkeys(use.end for use in group))
    kinds = {use.by for use in group}
    what = kinds.pop() if len(kinds) == 1 else "end"
    message = f"{len(group)} {what}s use {ends[0]}"
    help = f"give each {what} a {first.path[-1]} of its own"
    if all(use.kind == "pipe" for use in group):
        message, help = f"{message}, and a pipe has two ends", "two ports have the same `path`"
    elif len(ends) > 1:
        message = f"{' and '.join(ends)} cannot both be had: {_why(group)}"
        help = "listen at another port" if first.sockets else "give each a path of its own"
    return Diagnostic(
        "VM060" if first.kind == "stdio" else "VM061",
        message,
        _span(first, f"here{_for(first)} ..."),
        tuple(_span(use, f"... and here{_for(use)}") for use in others),
        help=help,
    )


def _why(group: list[_Use]) -> str:
    if group[0].real:
        return "they are one file"
    hosts = {name for use in group for name, _ in use.sockets}
    return "one of them is every address" if hosts & {ALL, ALL_IPV4} else "they are one address"


def _for(use: _Use) -> str:
    return f", for {use.machine}" if use.machine else ""


def _span(use: _Use, label: str = "") -> Span:
    origins = use.places.origins
    known = use.path in origins.places
    at = use.path if known else use.path[:-1]
    find = origins.value_span if known else origins.key_span
    return find(at, label)


def _overwritten(uses: Sequence[_Use], loaded: LoadedModel, graph: Graph) -> Iterator[Diagnostic]:
    """Files that the machine reads and a port or the trace would write over."""
    read: dict[str, tuple[KeyPath, str]] = {}
    for key, path in boot_files(graph.boot).items():
        below = tuple(int(part) if part.isdigit() else part for part in key.split("."))
        read[os.path.realpath(path)] = ("boot", *below), path.name
    for disk in graph.disks:
        if disk.image is not None:
            read[os.path.realpath(disk.image)] = ("disks", disk.name, "image"), disk.image.name
    for path in loaded.files:
        read.setdefault(os.path.realpath(path), ((), path.name))
    for use in (use for use in uses if use.real in read):
        at, name = read[use.real]
        other = loaded.origins.value_span(at, "... and read here") if at else None
        yield Diagnostic(
            "VM061",
            f"the {use.by} would write over {Path(name).name}, which the machine is made from",
            _span(use, "here ..."),
            (other,) if other is not None else (),
            help="give it another path",
        )
