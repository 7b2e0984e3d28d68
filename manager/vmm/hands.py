# SPDX-License-Identifier: BSD-2-Clause
"""What clients do with a running machine's keyboard and mouse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from manager.errors import UsageError

if TYPE_CHECKING:
    from manager.vmm.running import RunningMachine


def keys(running: RunningMachine, arguments: Mapping[str, Any]) -> None:
    """Press what is written in `keys`, or have one `key` go down or up. Raises UsageError."""
    from manager.machine import keystrokes

    if ("keys" in arguments) == ("key" in arguments) or ("key" in arguments) != (
        "down" in arguments
    ):
        raise UsageError("keys: give 'keys', or 'key' and 'down'")
    if "keys" in arguments:
        events = keystrokes.written(arguments["keys"])
    else:
        events = keystrokes.event(arguments["key"], down=arguments["down"])
    running.refuse_if_ending()
    keystrokes.press(running.machine, events)


def mouse(running: RunningMachine, arguments: Mapping[str, Any]) -> None:
    """Move the mouse, turn its wheel, press or release a button. Raises UsageError."""
    from manager.machine import keystrokes

    event = keystrokes.moved(
        *(arguments.get(key, 0) for key in ("right", "down", "turn")),
        press=arguments.get("press", ""),
        release=arguments.get("release", ""),
    )
    running.refuse_if_ending()
    keystrokes.move(running.machine, event)
