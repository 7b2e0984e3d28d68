# SPDX-License-Identifier: BSD-2-Clause
"""What clients can ask of a running lab; a machine of it is asked by its own socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from manager.errors import UsageError
from manager.graph.lab_plain import to_plain
from manager.lazy import dataclass
from manager.vmm.command import Argument, Command
from manager.vmm.commands import carry_out, schema_of
from manager.vmm.lab.status import status_of
from manager.vmm.server import ControlServer
from manager.vmm.serving import tell_end

if TYPE_CHECKING:
    import selectors
    from contextlib import ExitStack
    from pathlib import Path

    from manager.client.protocol import Request
    from manager.vmm.lab.running import RunningLab
    from manager.vmm.server import ClientSession


@dataclass(frozen=True, slots=True)
class LabCall:
    """One request of a client."""

    running: RunningLab
    session: ClientSession
    arguments: Mapping[str, Any]


def serve_lab(
    running: RunningLab, path: Path, selector: selectors.BaseSelector, stack: ExitStack
) -> None:
    """Open the socket at `path`; when `stack` is left, clients get the event of the lab's end.

    Raises HostError.
    """
    server = ControlServer(path, running.lab.name, selector, partial(_execute, running))

    def close() -> None:
        tell_end(running.events, running.outcome)
        server.close()

    stack.callback(close)


def _execute(running: RunningLab, session: ClientSession, request: Request) -> dict[str, Any]:
    return carry_out(COMMANDS, request, LabCall(running, session, request.arguments))


def _query_status(call: LabCall) -> dict[str, Any]:
    return {**status_of(call.running), "listeners": len(call.running.events)}


def _query_graph(call: LabCall) -> dict[str, Any]:
    members = call.running.members.items()
    images = {name: member.running.machine.images.digests() for name, member in members}
    return {"lab": to_plain(call.running.lab), "images": images}


def _subscribe(call: LabCall) -> dict[str, Any]:
    call.session.subscribe(call.running.events)
    return _query_status(call)


def _unsubscribe(call: LabCall) -> dict[str, Any]:
    call.session.unsubscribe()
    return {}


def _rewind(call: LabCall) -> dict[str, Any]:
    given = [key for key in ("back", "to") if key in call.arguments]
    if len(given) != 1 or call.arguments[given[0]] < 0:
        raise UsageError("rewind: give one of 'back' and 'to', not negative")
    return call.running.rewind(back=call.arguments.get("back"), to=call.arguments.get("to"))


def _do(action: Callable[[RunningLab], None]) -> Callable[[LabCall], dict[str, Any]]:
    def handler(call: LabCall) -> dict[str, Any]:
        action(call.running)
        return {}

    return handler


COMMANDS: Mapping[str, Command[LabCall]] = {
    "query-status": Command("What the lab is doing", _query_status, {}),
    "query-graph": Command(
        "The lab that this was made of, and digests of what its machines booted", _query_graph, {}
    ),
    "query-schema": Command(
        "The commands and events of this protocol", lambda call: schema_of(COMMANDS), {}
    ),
    "subscribe": Command("Hear events; answers like query-status", _subscribe, {}),
    "unsubscribe": Command("Hear no more events", _unsubscribe, {}),
    "suspend": Command(
        "Save the lab as one and end its process", lambda call: call.running.suspend(), {}
    ),
    "snapshot-save": Command(
        "Take a snapshot of the lab as one; it runs on",
        lambda call: call.running.save_snapshot(call.arguments.get("tag")),
        {"tag": Argument(str, "a name for the snapshot")},
    ),
    "down": Command(
        "Power all machines off; a suspended state is dropped",
        _do(lambda lab: lab.power_off()),
        {},
    ),
    "stop": Command(
        "Do what SIGTERM does: power off, or suspend where so told",
        _do(lambda lab: lab.stop_as_told()),
        {},
    ),
    "quit": Command(
        "End the process at once; the last suspended state is kept", _do(lambda lab: lab.quit()), {}
    ),
    "rewind": Command(
        "Go back in virtual time, to the end of a quantum; what comes then is a time line of its "
        "own",
        _rewind,
        {
            "back": Argument(int, "by how many ns"),
            "to": Argument(int, "to how many ns since power-on"),
        },
    ),
    "pause": Command("Let virtual time stand still", _do(lambda lab: lab.pause()), {}),
    "continue": Command("Let virtual time go on", _do(lambda lab: lab.unpause()), {}),
}
