# SPDX-License-Identifier: BSD-2-Clause
"""What the user of a port may not see from outside, such as input that the guest does not take."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from manager.machine.machine import Machine
    from manager.vmm.events import Events


class Advice:
    """Reports each port once; the status shows it for as long as it holds."""

    def __init__(self, events: Events, say: Callable[[str], None]) -> None:
        self._events = events
        self._say = say
        self._told: set[str] = set()

    def look(self, machine: Machine) -> None:
        """Report the ports that need it since the last call."""
        for port, text in machine.advice().items():
            if port not in self._told:
                self._told.add(port)
                self._say(f"{port}: {text}")
                self._events.publish("warning", message=f"{port}: {text}")


def with_advice(ports: list[dict[str, Any]], machine: Machine) -> list[dict[str, Any]]:
    """The ports of a status, each with its advice or None."""
    advice = machine.advice()
    return [{**port, "advice": advice.get(port["id"])} for port in ports]
