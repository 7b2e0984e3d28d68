# SPDX-License-Identifier: BSD-2-Clause
"""The ways in which a machine ends."""

from __future__ import annotations

from typing import Literal

from manager.errors import ExitCode
from manager.lazy import dataclass

EndReason = Literal[
    "debug-exit",
    "power-off",
    "reset",
    "halted",
    "triple-fault",
    "engine",
    "no-bios",
    "strict-io",
    "device",
]


@dataclass(frozen=True, slots=True)
class Ended:
    """Why a machine is over, and the exit code that goes with it."""

    reason: EndReason
    status: int
    detail: str
    """One line for people."""

    @property
    def is_fault(self) -> bool:
        """Whether it was no end that the guest meant; a suspended state is worth keeping then."""
        return self.status == ExitCode.GUEST_FAULT and self.reason != "debug-exit"
