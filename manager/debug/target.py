# SPDX-License-Identifier: BSD-2-Clause
"""What a debugger needs of the process that runs the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from manager.machine.inputs import Input
    from manager.machine.machine import Machine


class Target(Protocol):
    """A running machine."""

    @property
    def machine(self) -> Machine:
        """The machine; another one after `rewind`."""

    def hold(self, held: bool) -> None:
        """Let virtual time stand still for the debugger, or go on."""

    def suspend(self) -> dict[str, Any]:
        """Save the machine and end. Raises VmmgrError."""

    def power_off(self) -> None:
        """Pull the plug."""

    def rewind(self, *, back: int | None, to: int | None, inputs: int | None) -> dict[str, Any]:
        """Take the machine back to the virtual time `to`. Raises VmmgrError."""

    def history(self) -> tuple[int, list[Input]] | None:
        """When the record of the run begins, and the input since; None without a record."""
