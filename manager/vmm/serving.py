# SPDX-License-Identifier: BSD-2-Clause
"""A running machine's control socket, with all that clients can ask of it."""

from __future__ import annotations

import selectors
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from manager.vmm.attachments import Attachments
from manager.vmm.commands import execute
from manager.vmm.events import Events
from manager.vmm.outcome import Outcome
from manager.vmm.running import RunningMachine
from manager.vmm.server import ControlServer


def serve_clients(
    running: RunningMachine, path: Path, selector: selectors.BaseSelector, stack: ExitStack
) -> ControlServer:
    """Open the socket at `path`; when `stack` is left, clients get the event of the machine's end.

    Raises HostError.
    """
    attachments = Attachments(running.connections, running.events)
    name = running.machine.graph.name
    server = ControlServer(path, name, selector, partial(execute, running, attachments))

    def close() -> None:
        running.connections.pump()
        tell_end(running.events, running.outcome)
        server.close()

    stack.callback(close)
    return server


def tell_end(events: Events, outcome: Outcome | None) -> None:
    """Tell subscribers how it ended; of a suspend they have heard."""
    if outcome is not None and outcome.kind != "suspended":
        events.publish(
            "ended",
            kind=outcome.kind,
            status=int(outcome.status),
            detail=outcome.detail,
            resets=outcome.resets,
            story=list(outcome.story),
        )
