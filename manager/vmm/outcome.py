# SPDX-License-Identifier: BSD-2-Clause
"""How the owning of a machine came to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from manager.client.protocol import with_resets
from manager.errors import ExitCode
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.machine.ended import Ended

Kind = Literal["ended", "fault", "suspended", "down", "quit", "interrupted", "verdict"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Why the owner stopped, and the exit code that says so."""

    kind: Kind
    status: int = ExitCode.OK
    detail: str = ""
    """One line for people."""
    reason: str = ""
    """For `ended` and `fault`, the machine's own reason; for `verdict`, the verdict's outcome."""
    resets: int = 0
    """How often the machine was reset since its power-on."""
    lost: tuple[str, ...] = ()
    """Each sink that lost output, a line each."""
    story: tuple[str, ...] = ()
    """For `fault`, what led to it; a line each."""

    @classmethod
    def of_guest(cls, ended: Ended, story: tuple[str, ...]) -> Outcome:
        """The guest's own end."""
        kind: Kind = "fault" if ended.is_fault else "ended"
        return cls(kind, ended.status, ended.detail, ended.reason, story=story)

    def closing(self, text: str) -> str:
        """The line that tells how it ended, with the resets counted."""
        return with_resets(text, self.resets)
