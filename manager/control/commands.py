# SPDX-License-Identifier: BSD-2-Clause
"""What clients can ask of the owner: one function for each command, and the table of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import manager
from manager.control.protocol import PROTOCOL_VERSION
from manager.errors import UsageError

if TYPE_CHECKING:
    from manager.control.owner import Owner
    from manager.control.server import Session


@dataclass(frozen=True, slots=True)
class Call:
    """One request on its way to the owner."""

    owner: Owner
    session: Session
    arguments: Mapping[str, Any]


Handler = Callable[[Call], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Argument:
    """A named value of a command."""

    type: type
    summary: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A command: what it does, what it takes, how it is carried out."""

    summary: str
    handler: Handler
    arguments: Mapping[str, Argument]

    def check(self, name: str, given: Mapping[str, Any]) -> None:
        """Raise UsageError unless `given` fits."""
        for key, value in given.items():
            argument = self.arguments.get(key)
            if argument is None:
                raise UsageError(f"{name}: unknown argument {key!r}")
            if type(value) is not argument.type:
                raise UsageError(f"{name}: {key!r} must be of type {argument.type.__name__}")
        for key, argument in self.arguments.items():
            if argument.required and key not in given:
                raise UsageError(f"{name}: {key!r} is missing")


def _query_status(call: Call) -> dict[str, Any]:
    return call.owner.status()


def _query_schema(_call: Call) -> dict[str, Any]:
    return {
        "protocol": PROTOCOL_VERSION,
        "version": manager.__version__,
        "commands": {
            name: {
                "summary": command.summary,
                "arguments": {
                    key: {
                        "type": argument.type.__name__,
                        "summary": argument.summary,
                        "required": argument.required,
                    }
                    for key, argument in command.arguments.items()
                },
            }
            for name, command in COMMANDS.items()
        },
    }


def _query_graph(call: Call) -> dict[str, Any]:
    from manager.graph.plain import to_plain

    return {"graph": to_plain(call.owner.machine.graph)}


def _suspend(call: Call) -> dict[str, Any]:
    return call.owner.suspend()


def _snapshot(call: Call) -> dict[str, Any]:
    return call.owner.snapshot(call.arguments.get("tag"))


def _down(call: Call) -> dict[str, Any]:
    call.owner.power_off()
    return {}


def _quit(call: Call) -> dict[str, Any]:
    call.owner.quit()
    return {}


def _pause(call: Call) -> dict[str, Any]:
    call.owner.pause()
    return {}


def _continue(call: Call) -> dict[str, Any]:
    call.owner.unpause()
    return {}


def _send(call: Call) -> dict[str, Any]:
    # Bytes that are no UTF-8 travel as lone surrogates, as in Python's surrogateescape.
    try:
        data = call.arguments["text"].encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise UsageError("send: the text cannot be turned into bytes") from None
    port = call.owner.feed(call.arguments.get("port"), data)
    return {"port": port, "bytes": len(data)}


COMMANDS: Mapping[str, Command] = {
    "query-status": Command("What the machine is doing", _query_status, {}),
    "query-graph": Command("The device graph that the machine was made of", _query_graph, {}),
    "query-schema": Command("The commands of this protocol", _query_schema, {}),
    "suspend": Command("Save the machine and end its process", _suspend, {}),
    "snapshot": Command(
        "Save the machine under a tag; it goes on",
        _snapshot,
        {"tag": Argument(str, "what to call it; default: save-1, save-2, ...")},
    ),
    "down": Command("Power the machine off; a suspended state is dropped", _down, {}),
    "quit": Command("End the process at once; the last suspended state is kept", _quit, {}),
    "pause": Command("Let virtual time stand still", _pause, {}),
    "continue": Command("Let virtual time go on", _continue, {}),
    "send": Command(
        "Send text to a serial port",
        _send,
        {
            "port": Argument(str, "com1..com4 or a device id; default: the console"),
            "text": Argument(str, "what to send", required=True),
        },
    ),
}
