# SPDX-License-Identifier: BSD-2-Clause
"""The host's side of a machine: all of a graph that the guest cannot see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.config.units import format_duration
from manager.graph.differences import Difference, differences
from manager.graph.identity import identity, lab_wires
from manager.graph.nodes import Boot, FirmwareBoot, Graph, ImageBoot
from manager.graph.plain import plain_value
from manager.graph.table import backend
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.graph.lab import Lab


def wiring(graph: Graph) -> dict[str, Any]:
    """The host's side as nested names and values."""
    ready, debug = graph.ready, graph.debug
    return {
        "name": graph.name,
        "clock": {"mode": graph.clock_mode},
        "boot": _files(graph.boot),
        "backend": {node.port_name: backend(node) for node in graph.serial_ports()},
        "ready": {
            "port": ready.port,
            "wait-for": ready.wait_for,
            "fail-on": ready.fail_on,
            "timeout": format_duration(ready.timeout_ns),
            "cache": ready.cache,
        }
        if ready is not None
        else {},
        "record": plain_value(graph.record),
        "sandbox": plain_value(graph.sandbox),
        "gdb": plain_value(graph.gdb) if graph.gdb is not None else {},
        "debug": {"trace": list(debug.trace), "trace-file": _text(debug.trace_file)},
    }


def _files(boot: Boot) -> dict[str, str | None]:
    if isinstance(boot, ImageBoot):
        return {"image": _text(boot.image)}
    firmware = {"firmware": _text(boot.firmware)} if isinstance(boot, FirmwareBoot) else {}
    return {**firmware, "kernel": _text(boot.kernel), "initrd": _text(boot.initrd)}


def _text(path: Path | None) -> str | None:
    return str(path) if path is not None else None


@dataclass(frozen=True, slots=True)
class GraphDifferences:
    """In what two graphs differ."""

    guest: list[Difference]
    """What the guest can see; with any of these a snapshot of one does not fit the other."""
    host: list[Difference]
    """Wiring."""

    def __bool__(self) -> bool:
        return bool(self.guest or self.host)


def compare(one: Graph, two: Graph) -> GraphDifferences:
    """All differences of two graphs, first what the guest can see."""
    return GraphDifferences(
        differences(identity(one), identity(two)), differences(wiring(one), wiring(two))
    )


def compare_labs(one: Lab, two: Lab) -> GraphDifferences:
    """All differences of two labs: wires, then machines, each with its name before what differs."""
    guest = differences(lab_wires(one), lab_wires(two))
    captures = [
        {"links": {link.name: {"capture": _text(link.capture)} for link in lab.links.values()}}
        for lab in (one, two)
    ]
    host = differences({"name": one.name, **captures[0]}, {"name": two.name, **captures[1]})
    for name in dict.fromkeys([*one.members, *two.members]):
        if name not in two.members:
            guest.append(Difference("missing", f"machines.{name}"))
        elif name not in one.members:
            guest.append(Difference("extra", f"machines.{name}"))
        else:
            named = replace(two.members[name], name=one.members[name].name)  # the lab's was told
            found = compare(one.members[name], named)
            guest += [replace(item, subject=f"{name}: {item.subject}") for item in found.guest]
            host += [replace(item, subject=f"{name}: {item.subject}") for item in found.host]
    return GraphDifferences(guest, host)
