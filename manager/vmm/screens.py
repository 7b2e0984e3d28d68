# SPDX-License-Identifier: BSD-2-Clause
"""What clients get of a running machine's screen."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from manager.errors import UsageError

if TYPE_CHECKING:
    from manager.machine.machine import Machine
    from manager.screen.screen import Screen
    from manager.vmm.server import ClientSession

PART = 1 << 20
"""Bytes of a picture in one answer."""


def text(machine: Machine) -> dict[str, Any]:
    """Its mode and its text. Raises UsageError when there is no screen."""
    screen = _screen(machine)
    return {"mode": screen.mode, "lines": screen.lines(), "virtual-time": screen.now}


def picture(machine: Machine, session: ClientSession, start: int) -> dict[str, Any]:
    """A part of a PNG file: of a new picture from its beginning, else of the client's last one."""
    if start < 0:
        raise UsageError("screenshot: 'from' is negative")
    if start == 0:
        session.picture = _screen(machine).picture().png()
    part = session.picture[start : start + PART]
    return {"size": len(session.picture), "base64": base64.b64encode(part).decode()}


def _screen(machine: Machine) -> Screen:
    screen = machine.screen()
    if screen is None:
        raise UsageError(
            f"{machine.graph.name} has no screen", help='a slot with `device = "vga"` gives it one'
        )
    return screen
