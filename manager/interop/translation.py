# SPDX-License-Identifier: BSD-2-Clause
"""What a translation gives: a text, and a list of all that it could not take along."""

from __future__ import annotations

from dataclasses import field

from manager.lazy import dataclass
from manager.text.quoting import quoted


@dataclass(slots=True)
class Translation:
    """The other program's, or our, text for a machine."""

    text: str
    lost: list[str] = field(default_factory=list)
    """What the text does not say, one line each; the text has the same lines as comments."""


def comments(lost: list[str], headline: str) -> list[str]:
    """The lines that say in the text itself what it does not say."""
    said = [f"#   - {quoted(line, 'comment')}" for line in lost]
    return [f"# {headline}", *said] if said else []
