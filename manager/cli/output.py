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


def span(seconds: float) -> str:
    """A length of time for people, in its two largest units.

    >>> span(7.4), span(125), span(3600 * 30)
    ('7s', '2m 5s', '1d 6h')
    """
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60}m"
    return f"{whole // 86400}d {whole % 86400 // 3600}h"
