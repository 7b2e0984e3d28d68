# SPDX-License-Identifier: BSD-2-Clause
"""How a console came to its end."""

from __future__ import annotations

from typing import Literal

from manager.client.client import Message
from manager.client.protocol import with_resets
from manager.errors import ExitCode
from manager.lazy import dataclass


@dataclass(frozen=True, slots=True)
class Left:
    """The end, and what to say of it."""

    kind: Literal["detached", "suspended", "ended", "crashed", "interrupted", "changed"]
    text: str = ""
    status: int = ExitCode.OK
    """The exit code of the machine's end."""
    story: tuple[str, ...] = ()
    """What led to a fault, a line each."""

    @property
    def is_end(self) -> bool:
        """Whether the machine's process ends too."""
        return self.kind in ("suspended", "ended")


def detached(name: str) -> Left:
    """The user left; the machine goes on."""
    return Left(
        "detached",
        f"detached; {name} runs on. `vmmgr console {name}` comes back, `vmmgr down {name}` ends it",
    )


def crashed(name: str) -> Left:
    """The connection broke without a word."""
    return Left("crashed", f"{name} crashed: its process is gone", ExitCode.FAILURE)


def suspended(name: str, event: Message) -> Left:
    """After the event `suspended`."""
    return Left("suspended", farewell(name, "suspended", event["snapshot"]))


def ended(name: str, event: Message) -> Left:
    """After the event `ended`."""
    text = farewell(name, event["kind"], event["detail"])
    story = tuple(map(str, event.get("story", ())))
    return Left("ended", with_resets(text, event["resets"]), event["status"], story)


def farewell(name: str, kind: str, detail: str) -> str:
    """How a machine ended, in a line; `kind` and `detail` are those of its outcome."""
    if kind == "suspended":
        return f"{name} suspended to {detail}; resume it with `vmmgr resume {name}`"
    if kind in ("ended", "fault"):
        return f"{name} ended: {detail}"
    if kind == "verdict":
        return f"{name} powered off: it did not get ready"
    if kind == "quit":
        reason = f": {detail}" if detail else ""
        return f"{name} was stopped; its last suspended state is kept{reason}"
    return f"{name} powered off"
