# SPDX-License-Identifier: BSD-2-Clause
"""Giving each port the backend that the machine file names."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from typing import TYPE_CHECKING

from manager.backends import factory
from manager.backends.null import NullBackend
from manager.backends.stdio import StdioBackend
from manager.control.outcome import Outcome

if TYPE_CHECKING:
    from manager.backends.backend import Backend
    from manager.control.owner import Owner
    from manager.control.wiring import Wiring
    from manager.graph.nodes import Graph


def terminal(owner: Owner, say: Callable[[str], None]) -> Backend:
    """Standard input and output for a machine in the foreground; Ctrl-] powers it off."""
    name = owner.machine.graph.name

    def escaped() -> None:
        say(f"powering off; `vmmgr suspend {name}` in another terminal would have kept its state")
        owner.finish(Outcome("down"))

    return StdioBackend(on_escape=escaped)


class Detached(NullBackend):
    """Standard input and output of a machine in the background."""

    def describe(self) -> str:
        """What it is."""
        return "stdio, detached"


def connect_backends(
    wiring: Wiring,
    graph: Graph,
    selector: selectors.BaseSelector,
    stdio: Backend | None,
) -> None:
    """Plug in all backends; `stdio` stands for standard input and output, None where there is none.

    Raises HostError when the host refuses one; those that are in are closed with the wiring.
    """
    for node in graph.serial_ports():
        assert node.backend is not None
        if node.backend.type == "stdio":
            backend: Backend = stdio if stdio is not None else Detached()
        else:
            backend = factory.make(node.backend)
        wiring.connect(node.id, backend, selector)
