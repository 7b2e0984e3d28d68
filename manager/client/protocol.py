# SPDX-License-Identifier: BSD-2-Clause
"""The control protocol: one JSON object per line over a UNIX socket.

The owner greets with {"vmmgr": {...}}. A request is {"id", "execute", "arguments"}; its answer is
{"id", "return"} or {"id", "error": {"code", "message", "help"}}. `id` is any JSON value and comes
back as it was; `code` is the name of an exit code ("wrong-state"), or "bad-request" or
"unknown-command". A client that subscribed or attached also gets {"event", "data"}, between
answers. The full description is docs/control-protocol.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from manager.errors import (
    GuestFaultError,
    HostError,
    NoSuchMachineError,
    SnapshotCorruptError,
    SnapshotMismatchError,
    UsageError,
    VmmgrError,
    WrongStateError,
)
from manager.lazy import dataclass

PROTOCOL_VERSION = 1
LINE_LIMIT = 256 * 1024
"""The longest request, in bytes; a longer one ends the connection."""

_ERRORS: tuple[type[VmmgrError], ...] = (
    HostError,
    UsageError,
    NoSuchMachineError,
    WrongStateError,
    SnapshotMismatchError,
    GuestFaultError,
    SnapshotCorruptError,
)
_MISUSES = ("bad-request", "unknown-command")
"""Codes of answers to what no command of ours would send."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a client."""

    id: Any
    execute: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


class BadRequestError(Exception):
    """A line that is no request. Carries the request's id when it had one."""

    def __init__(self, message: str, id: Any = None) -> None:
        super().__init__(message)
        self.id = id


class UnknownCommandError(Exception):
    """A request for a command that there is not."""


EVENTS: Mapping[str, str] = {
    "ready": "The output matched what was waited for: detail",
    "unready": "The machine did not get ready: status (an exit code), detail",
    "paused": "Virtual time stands still",
    "continued": "Virtual time goes on",
    "blocked": "The guest waits for a port whose output is not read: port",
    "unblocked": "It goes on",
    "attached": "A console was attached: port, pid, writes",
    "detached": "A console was detached: port, pid",
    "break": "A break was sent to a port: port",
    "damaged": "What the machine was restored from is not what was saved; it stands still: message",
    "disk-trouble": "The host fails a disk: disk, message",
    "machine-ended": "A machine of the lab is over, the others go on: name, kind, status (an exit "
    "code), detail",
    "reset": "The guest was reset: resets, how often since power-on",
    "snapshot-saved": "A snapshot was taken, the machine runs on: snapshot, tag",
    "rewound": "The machine went back in virtual time: from, virtual-time, replayed (ns), seconds",
    "suspend-failed": "The machine could not be saved and runs on: message",
    "debugger-attached": "gdb has connected; the machine stands still until it says continue",
    "debugger-detached": "gdb is gone; the machine goes on",
    "link-down": "What a network card was plugged into failed: card, message",
    "sink-failed": "Output is lost: sink (backend, log, capture, trace, recording or checkpoints), "
    "port, where, reason",
    "warning": "Something the user should know: message",
    "suspended": "The machine is saved and its process ends: snapshot, size, seconds",
    "ended": "The machine is over and its process ends: kind, status (an exit code), detail, "
    "resets, story (what led to a fault, a list of lines)",
}
"""The events that `subscribe` sends, with the members of `data`."""
ATTACHED_EVENTS: Mapping[str, str] = {
    "output": "The port sent something: port, base64",
    "skipped": "Output that the client was too slow for was left out: port, bytes",
    "read-only": "Another console types now: port, taken-by (its pid)",
}
"""What `attach` lets a client hear."""


def encode(message: Mapping[str, Any]) -> bytes:
    """One line of the protocol."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


def parse_request(line: bytes) -> Request:
    """Read a request. Raises BadRequestError."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"not JSON: {error}") from None
    if not isinstance(message, dict):
        raise BadRequestError("a request is a JSON object")
    id = message.get("id")
    execute = message.get("execute")
    arguments = message.get("arguments", {})
    if not isinstance(execute, str):
        raise BadRequestError('`execute` must name a command: {"execute": "query-status"}', id)
    if not isinstance(arguments, dict):
        raise BadRequestError("`arguments` must be an object", id)
    if extra := message.keys() - {"id", "execute", "arguments"}:
        raise BadRequestError(f"unknown member {min(extra)!r}", id)
    return Request(id, execute, arguments)


def success(id: Any, result: Mapping[str, Any]) -> bytes:
    """The answer to a request that was carried out."""
    return encode({"id": id, "return": result})


def failure(id: Any, code: str, message: str, help: str | None = None) -> bytes:
    """The answer to a request that was not."""
    return encode({"id": id, "error": {"code": code, "message": message, "help": help}})


def code_of(error: VmmgrError) -> str:
    """An error's code on the wire."""
    return error.exit_code.word


def error_from(code: Any, message: Any, help: Any) -> VmmgrError:
    """The error in an answer or a report, with its exit code."""
    by_code = {code_of_class(kind): kind for kind in _ERRORS}
    kind = UsageError if code in _MISUSES else by_code.get(str(code), VmmgrError)
    return kind(str(message), help=None if help is None else str(help))


def code_of_class(kind: type[VmmgrError]) -> str:
    """The code of an error class."""
    return kind.exit_code.word


def with_resets(text: str, resets: int) -> str:
    """How a machine ended, with its resets counted.

    >>> with_resets("demo powered off", 7)
    'demo powered off; rebooted 7 times'
    """
    if not resets:
        return text
    return f"{text}; rebooted {'once' if resets == 1 else f'{resets} times'}"
