# SPDX-License-Identifier: BSD-2-Clause
"""What clients can ask of a running machine: a function for each command, and their table."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from manager.client.protocol import ATTACHED_EVENTS, EVENTS, PROTOCOL_VERSION, UnknownCommandError
from manager.errors import UsageError
from manager.version import __version__
from manager.vmm import screens, shares
from manager.vmm.attachments import MODES
from manager.vmm.command import Argument, C, Call, Command
from manager.vmm.status import status_of

if TYPE_CHECKING:
    from manager.client.protocol import Request
    from manager.vmm.attachments import Attachments
    from manager.vmm.running import RunningMachine
    from manager.vmm.server import ClientSession

DEFAULT_REPLAY = 4096
"""Bytes of earlier output that a console sees first."""


def execute(
    running: RunningMachine, attachments: Attachments, session: ClientSession, request: Request
) -> dict[str, Any]:
    """Carry out a request. Raises VmmgrError, UnknownCommandError."""
    return carry_out(COMMANDS, request, Call(running, attachments, session, request.arguments))


def carry_out(commands: Mapping[str, Command[C]], request: Request, call: C) -> dict[str, Any]:
    """Have the right one of these commands answer. Raises VmmgrError, UnknownCommandError."""
    command = commands.get(request.execute)
    if command is None:
        raise UnknownCommandError
    command.check(request.execute, request.arguments)
    return command.handler(call)


def _query_status(call: Call) -> dict[str, Any]:
    return {
        **status_of(call.running),
        "consoles": call.attachments.describe(),
        "listeners": len(call.running.events),
    }


def _query_schema(_call: Call) -> dict[str, Any]:
    return schema_of(COMMANDS)


def schema_of(commands: Mapping[str, Command[Any]]) -> dict[str, Any]:
    """The answer to `query-schema`."""
    return {
        "protocol": PROTOCOL_VERSION,
        "version": __version__,
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
            for name, command in commands.items()
        },
        "events": {**EVENTS, **ATTACHED_EVENTS},
    }


def _query_graph(call: Call) -> dict[str, Any]:
    from manager.graph.plain import to_plain

    machine = call.running.machine
    return {"graph": to_plain(machine.graph), "images": machine.images.digests()}


def _suspend(call: Call) -> dict[str, Any]:
    return call.running.suspend()


def _snapshot_save(call: Call) -> dict[str, Any]:
    return call.running.save_snapshot(call.arguments.get("tag"))


def _down(call: Call) -> dict[str, Any]:
    call.running.power_off()
    return {}


def _stop(call: Call) -> dict[str, Any]:
    call.running.stop_as_told()
    return {}


def _quit(call: Call) -> dict[str, Any]:
    call.running.quit()
    return {}


def _power_button(call: Call) -> dict[str, Any]:
    call.running.press_power_button()
    return {}


def _rewind(call: Call) -> dict[str, Any]:
    given = [key for key in ("back", "to", "inputs") if key in call.arguments]
    if len(given) != 1 or call.arguments[given[0]] < 0:
        raise UsageError("rewind: give one of 'back', 'to' and 'inputs', not negative")
    find = call.arguments.get
    return call.running.rewind(back=find("back"), to=find("to"), inputs=find("inputs"))


def _pause(call: Call) -> dict[str, Any]:
    call.running.holds.pause()
    return {}


def _continue(call: Call) -> dict[str, Any]:
    call.running.holds.unpause()
    return {}


def _subscribe(call: Call) -> dict[str, Any]:
    call.session.subscribe(call.running.events)
    return _query_status(call)


def _unsubscribe(call: Call) -> dict[str, Any]:
    call.session.unsubscribe()
    return {}


def _send(call: Call) -> dict[str, Any]:
    # Bytes that are no UTF-8 travel as lone surrogates, as in Python's surrogateescape.
    try:
        data = call.arguments["text"].encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise UsageError("send: the text cannot be turned into bytes") from None
    port = call.running.feed(call.arguments.get("port"), data)
    return {"port": port, "bytes": len(data)}


def _break(call: Call) -> dict[str, Any]:
    call.running.refuse_if_ending()
    port = call.arguments.get("port")
    if port is None:
        port = call.attachments.port_of(call.session)
    return {"port": call.running.send_break(port)}


def _screen(call: Call) -> dict[str, Any]:
    return screens.text(call.running.machine)


def _screenshot(call: Call) -> dict[str, Any]:
    return screens.picture(call.running.machine, call.session, call.arguments.get("from", 0))


def _keys(call: Call) -> dict[str, Any]:
    from manager.vmm import hands

    hands.keys(call.running, call.arguments)
    return {}


def _mouse(call: Call) -> dict[str, Any]:
    from manager.vmm import hands

    hands.mouse(call.running, call.arguments)
    return {}


def _attach(call: Call) -> dict[str, Any]:
    mode = call.arguments.get("mode", "write")
    if mode not in MODES:
        raise UsageError(f"attach: 'mode' must be one of {', '.join(MODES)}")
    replay = max(0, call.arguments.get("replay", DEFAULT_REPLAY))
    call.running.refuse_if_ending()
    return call.attachments.attach(call.session, call.arguments.get("port"), mode, replay)


def _detach(call: Call) -> dict[str, Any]:
    return call.attachments.detach(call.session)


def _take(call: Call) -> dict[str, Any]:
    return call.attachments.take(call.session)


def _write(call: Call) -> dict[str, Any]:
    try:
        data = base64.b64decode(call.arguments["base64"], validate=True)
    except ValueError:
        raise UsageError("write: 'base64' is not base64") from None
    return call.attachments.write(call.session, data)


_PORT = Argument(str, "com1..com4 or a device id; default: the console")

COMMANDS: Mapping[str, Command[Call]] = {
    "query-status": Command("What the machine is doing", _query_status, {}),
    "query-graph": Command("The device graph that the machine was made of", _query_graph, {}),
    "query-schema": Command("The commands and events of this protocol", _query_schema, {}),
    "subscribe": Command("Hear events; answers like query-status", _subscribe, {}),
    "unsubscribe": Command("Hear no more events", _unsubscribe, {}),
    "suspend": Command("Save the machine and end its process", _suspend, {}),
    "snapshot-save": Command(
        "Take a snapshot; the machine runs on",
        _snapshot_save,
        {"tag": Argument(str, "a name for the snapshot")},
    ),
    "down": Command("Power the machine off; a suspended state is dropped", _down, {}),
    "stop": Command("Do what SIGTERM does: power off, or suspend where so told", _stop, {}),
    "quit": Command("End the process at once; the last suspended state is kept", _quit, {}),
    "power-button": Command("Press the power button; the guest may heed it", _power_button, {}),
    "rewind": Command(
        "Go back in virtual time; what comes then is a time line of its own",
        _rewind,
        {
            "back": Argument(int, "by how many ns"),
            "to": Argument(int, "to how many ns since power-on"),
            "inputs": Argument(int, "to just before that many inputs"),
        },
    ),
    "pause": Command("Let virtual time stand still", _pause, {}),
    "continue": Command("Let virtual time go on", _continue, {}),
    "send": Command(
        "Send text to a serial port",
        _send,
        {"port": _PORT, "text": Argument(str, "what to send", required=True)},
    ),
    "break": Command(
        "Send a break to a serial port",
        _break,
        {"port": Argument(str, "com1..com4 or a device id; default: the attached port")},
    ),
    **shares.COMMANDS,
    "screen": Command("What a screen in a text mode shows", _screen, {}),
    "screenshot": Command(
        "A PNG file of the screen, in parts",
        _screenshot,
        {"from": Argument(int, "the bytes of it that are there already; without, a new picture")},
    ),
    "keys": Command(
        "Press keys of the keyboard",
        _keys,
        {
            "keys": Argument(str, "characters, and names of keys as in <enter> or <ctrl-alt-del>"),
            "key": Argument(str, "the name of one key, which goes down or up"),
            "down": Argument(bool, "whether it goes down"),
        },
    ),
    "mouse": Command(
        "Move the mouse",
        _mouse,
        {
            "right": Argument(int, "steps to the right"),
            "down": Argument(int, "steps down"),
            "turn": Argument(int, "steps of the wheel, away from the user"),
            "press": Argument(str, "the button that goes down: left, right or middle"),
            "release": Argument(str, "the button that goes up"),
        },
    ),
    "attach": Command(
        "Hear what a serial port sends, and be its writer if it has none",
        _attach,
        {
            "port": _PORT,
            "mode": Argument(str, "read, write (the default) or take"),
            "replay": Argument(int, f"bytes of earlier output to answer [{DEFAULT_REPLAY}]"),
        },
    ),
    "detach": Command("Leave the serial port", _detach, {}),
    "take": Command("Become the writer of the attached port", _take, {}),
    "write": Command(
        "Type at the attached port; answers how much of it was accepted",
        _write,
        {"base64": Argument(str, "the bytes", required=True)},
    ),
}
