# SPDX-License-Identifier: BSD-2-Clause
"""How verbs print JSON and amounts."""

from __future__ import annotations

import json
from collections.abc import Mapping

SCHEMA = 1
"""The version of what the verbs print as JSON."""


def print_json(
    document: Mapping[str, object], *, indented: bool = False, versioned: bool = True
) -> None:
    """Print a document: on one line, or indented.

    Its first member says the version, unless it is another's document that is passed on.
    """
    whole = {"schema": SCHEMA, **document} if versioned else document
    print(json.dumps(whole, indent=2 if indented else None), flush=True)


def size(count: int) -> str:
    """A number of bytes for people.

    >>> size(256 << 20), size(5000)
    ('256 MiB', '4.883 KiB')
    """
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.4g} {unit}"
        amount /= 1024
    return f"{amount:.4g} GiB"
