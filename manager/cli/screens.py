# SPDX-License-Identifier: BSD-2-Clause
"""What is on the screen of a machine that runs, or that is suspended."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from manager.errors import UsageError, WrongStateError

if TYPE_CHECKING:
    from manager.screen.screen import Screen
    from manager.state.situation import Situation

NO_SCREEN_HELP = 'a slot with `device = "vga"` gives it one'


def text_of(situation: Situation) -> dict[str, Any]:
    """`mode`, `lines` and `virtual-time`, as the control protocol has them.

    Raises UsageError for a machine without a screen, WrongStateError.
    """
    from manager.cli.clients import connect

    if situation.saved is not None and situation.state != "running":
        screen = _saved(situation)
        return {"mode": screen.mode, "lines": screen.lines(), "virtual-time": screen.now}
    with connect(situation) as client:
        return dict(client.execute("screen"))


def png_of(situation: Situation) -> bytes:
    """A PNG file of the screen. Raises as text_of does."""
    from manager.cli.clients import connect

    if situation.saved is not None and situation.state != "running":
        return _saved(situation).picture().png()
    with connect(situation) as client:
        answer = client.execute("screenshot")
        content = base64.b64decode(answer["base64"])
        while len(content) < answer["size"]:
            more = client.execute("screenshot", **{"from": len(content)})
            content += base64.b64decode(more["base64"])
    return content


def _saved(situation: Situation) -> Screen:
    from manager.machine.screens import of_snapshot
    from manager.state.saved import open_saved

    screen = of_snapshot(open_saved(situation.paths))
    if screen is None:
        raise UsageError(f"{situation.name} has no screen", help=NO_SCREEN_HELP)
    return screen


def without_text(name: str, mode: str) -> WrongStateError:
    """What to say of a screen without characters."""
    return WrongStateError(
        f"the screen of {name} is in a graphics mode ({mode}), which has no text",
        help=f"`vmmgr screenshot {name} -o FILE` makes a picture of it",
    )
