# SPDX-License-Identifier: BSD-2-Clause
"""Which serial port a name means, and which one is meant when none is named."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from manager.devices.claims import PORTS
from manager.errors import UsageError

if TYPE_CHECKING:
    from manager.graph.nodes import Graph


def resolve_port(ids: Iterable[str], wanted: str | None, console: str | None) -> str:
    """The id of the port that `wanted` means: com1, lpc.com1, 4, slots.4, or its own name, if
    one port alone has it. Raises UsageError.
    """
    known = list(ids)
    if wanted is None:
        if console is None:
            raise UsageError("the machine has no serial port")
        return console
    for candidate in (wanted, f"lpc.{wanted}", f"slots.{wanted}", known_as(known, wanted)):
        if candidate in known:
            return candidate
    raise UsageError(
        f"the machine has no port {wanted!r}",
        help=f"its ports: {', '.join(known)}" if known else "it has no serial ports",
    )


def known_as(known: Iterable[str], name: str) -> str:
    """The port that has `name` for its own, if it is one alone; else `name` as it is.

    >>> known_as(["lpc.com1", "slots.8", "slots.8.ports.agent"], "agent")
    'slots.8.ports.agent'
    """
    found = [port for port in known if port.partition(f".{PORTS}.")[2] == name]
    return found[0] if len(found) == 1 else name


def console_of(graph: Graph) -> str | None:
    """The port meant when none is named: on stdio, else the one to get ready, else the first."""
    ports = graph.serial_ports()
    ids = [end.id for end in ports]
    on_stdio = [end.id for end in ports if end.backend.type == "stdio"]
    if on_stdio:
        return on_stdio[0]
    if graph.ready is not None:
        return resolve_port(ids, graph.ready.port, None)
    return "lpc.com1" if "lpc.com1" in ids else ids[0] if ids else None
