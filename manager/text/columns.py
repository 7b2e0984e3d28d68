# SPDX-License-Identifier: BSD-2-Clause
"""The one way to draw a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A line for each row, every column but the last as wide as it has to be.

    >>> list(columns([("NAME", "STATE"), ("hello", "running")]))
    ['NAME   STATE', 'hello  running']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
