# SPDX-License-Identifier: BSD-2-Clause
"""How a console came to its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from manager.client.client import Message
from manager.client.protocol import with_resets
from manager.errors import ExitCode


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
    text = f"{name} suspended to {event['snapshot']}; resume it with `vmmgr resume {name}`"
    return Left("suspended", text)


def ended(name: str, event: Message) -> Left:
    """After the event `ended`."""
    kind = event["kind"]
    if kind in ("ended", "fault"):
        text = f"{name} ended: {event['detail']}"
    elif kind == "verdict":
        text = f"{name} powered off: it did not get ready"
    elif kind == "quit":
        text = f"{name} was stopped; its last suspended state is kept"
    else:
        text = f"{name} powered off"
    story = tuple(map(str, event.get("story", ())))
    return Left("ended", with_resets(text, event["resets"]), event["status"], story)
