# SPDX-License-Identifier: BSD-2-Clause
"""How the owning of a machine came to its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from manager.errors import ExitCode

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
