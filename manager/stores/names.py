# SPDX-License-Identifier: BSD-2-Clause
"""What a snapshot is called in a store: NAME.TAG, which registries take for a tag.

A machine's name has no dot, so the first one parts them.
"""

from __future__ import annotations

import re

from manager.errors import UsageError
from manager.lazy import dataclass
from manager.names import NAME
from manager.snapshot.store import TAG

MOST = 128
"""Characters of a tag in a registry."""
_STORED = re.compile(rf"({NAME.pattern})\.({TAG.pattern})")


@dataclass(frozen=True, slots=True)
class StoredName:
    """A machine and one of its tags; `current` is its suspended state."""

    machine: str
    tag: str

    def __str__(self) -> str:
        return f"{self.machine}.{self.tag}"

    @property
    def shown(self) -> str:
        """As on the command line.

        >>> StoredName("demo", "current").shown, StoredName("demo", "before").shown
        ('demo', 'demo:before')
        """
        return self.machine if self.tag == "current" else f"{self.machine}:{self.tag}"

    @classmethod
    def of(cls, machine: str, tag: str) -> StoredName:
        """Raises UsageError for what cannot be one."""
        found = cls.read(f"{machine}.{tag}")
        if found is None:
            raise UsageError(
                f"{machine}:{tag} cannot name a snapshot in a store",
                help=f"NAME or NAME:TAG, of at most {MOST - 1} characters together",
            )
        return found

    @classmethod
    def read(cls, text: str) -> StoredName | None:
        """The name that a store has; None for another's."""
        match = _STORED.fullmatch(text)
        return cls(match[1], match[2]) if match is not None and len(text) <= MOST else None
