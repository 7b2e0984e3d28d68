# SPDX-License-Identifier: BSD-2-Clause
"""The ways in which a machine can be over for good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EndReason = Literal["debug-exit", "power-off", "halted", "triple-fault", "engine", "strict-io"]


@dataclass(frozen=True, slots=True)
class Ended:
    """Why a machine is over, and the exit code that goes with it."""

    reason: EndReason
    status: int
    detail: str
    """One line for people."""
