# SPDX-License-Identifier: BSD-2-Clause
"""The host's side of a machine: all of a graph that the guest cannot see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from manager.config.units import format_duration
from manager.graph.differences import Difference, differences
from manager.graph.identity import identity
from manager.graph.nodes import Boot, FirmwareBoot, Graph, ImageBoot
from manager.graph.plain import plain_value
from manager.graph.table import backend
from manager.lazy import dataclass


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
