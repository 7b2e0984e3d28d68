# SPDX-License-Identifier: BSD-2-Clause
"""Giving each port the backend that the machine file names, and gdb its way in."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from manager.backends import factory
from manager.backends.null import NullBackend
from manager.backends.stdio import StdioBackend
from manager.errors import ExitCode
from manager.vmm.outcome import Outcome

if TYPE_CHECKING:
    from manager.backends.backend import Backend
    from manager.graph.nodes import Graph
    from manager.vmm.connections import SerialConnections
    from manager.vmm.running import RunningMachine


def terminal(running: RunningMachine, *, raw: bool) -> Backend:
    """Standard input and output for a machine that this process owns in the foreground."""
    return StdioBackend(on_escape=lambda: running.finish(Outcome("down")), raw=raw)


class Detached(NullBackend):
    """Standard input and output of a machine in the background."""

    def describe(self) -> str:
        """What it is."""
        return "stdio, detached"


def connect_backends(
    connections: SerialConnections,
    graph: Graph,
    selector: selectors.BaseSelector,
    stdio: Backend | None,
    pty_link: Callable[[str], Path],
) -> None:
    """Plug in all backends; `stdio` stands for standard input and output, None where there is none.

    `pty_link` tells where a port's pty gets a stable name.

    Raises HostError when the host refuses one; those that are in are closed with the connections.
    """
    for end in graph.serial_ports():
        if end.backend.type == "stdio":
            backend: Backend = stdio if stdio is not None else Detached()
        else:
            backend = factory.make(end.backend, pty_link(end.id))
        connections.connect(end.id, backend, selector)


def let_gdb_in(
    running: RunningMachine,
    selector: selectors.BaseSelector,
    say: Callable[[str], None],
    stack: ExitStack,
) -> None:
    """Let gdb in where the machine file says so, and say where that is. Raises HostError."""
    wanted = running.machine.graph.gdb
    if wanted is None:
        return
    from manager.vmm.gdb import GdbListener

    listener = GdbListener(wanted, running, selector)

    def close() -> None:
        outcome = running.outcome
        listener.close(outcome.status if outcome is not None else ExitCode.FAILURE)

    stack.callback(close)
    waits = "; the machine waits for it" if wanted.wait else ""
    say(f"gdb can connect: target remote {listener.where}{waits}")
