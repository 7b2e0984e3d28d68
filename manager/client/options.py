# SPDX-License-Identifier: BSD-2-Clause
"""What a console is to be like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from manager.client.keys import DEFAULT_ESCAPE
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.client.beside import Beside


@dataclass(frozen=True, slots=True)
class Options:
    """What a console is to be like."""

    port: str | None = None
    mode: Literal["read", "write", "take"] = "write"
    escape: int | None = DEFAULT_ESCAPE
    replay: int = 4096
    attended: bool = False
    """The console belongs to the machine's start: it lets it begin, and two interrupts or a
    SIGTERM here end it."""
    settle: float | None = None
    """Seconds of silence after which a console whose input has ended, and was taken by the guest,
    ends too; None: it stays."""
    raw: bool = False
    """A terminal that nothing is typed at gets all that the guest prints too."""
    beside: Beside | None = None
    """What goes on beside it."""
