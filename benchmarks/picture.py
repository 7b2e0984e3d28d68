# SPDX-License-Identifier: BSD-2-Clause
"""The results as one SVG: how many times as fast as each peer, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from benchmarks.report import contests
from benchmarks.row import VMMGR, Row, advantage

WIDTH, LEFT, RIGHT = 960, 470, 60
BAR, GAP, TOP = 14, 6, 56
DECADES = 2
"""Bars end at 100 times faster or slower."""


def svg(results: Mapping[str, Sequence[Row]]) -> str:
    """A bar for each peer in each contest: right of the middle, vmmgr is faster."""
    bars = list(_bars(results))
    height = TOP + len(bars) * (BAR + GAP) + 30
    middle, half = LEFT + (WIDTH - LEFT - RIGHT) / 2, (WIDTH - LEFT - RIGHT) / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="11">',
        "<!-- SPDX-License" + "-Identifier: BSD-2-Clause -->",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14">vmmgr against its peers: medians</text>',
    ]
    for step in range(-DECADES, DECADES + 1):
        x = middle + half * step / DECADES
        label = "equal" if step == 0 else f"{10 ** abs(step)}x {'faster' if step > 0 else 'slower'}"
        parts.append(f'<text x="{x}" y="40" text-anchor="middle">{label}</text>')
        colour = "#444" if step == 0 else "#ccc"
        parts.append(f'<line x1="{x}" y1="46" x2="{x}" y2="{height - 20}" stroke="{colour}"/>')
    for number, (label, ratio) in enumerate(bars):
        y = TOP + number * (BAR + GAP)
        length = half * min(abs(math.log10(ratio)), DECADES) / DECADES
        start = middle if ratio >= 1 else middle - length
        colour = "#2a7" if ratio >= 1 else "#c63"
        value = f"{ratio:.2g}x" if ratio >= 1 else f"1/{1 / ratio:.2g}"
        parts += [
            f'<text x="{LEFT - 8}" y="{y + BAR - 3}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{start:.1f}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>',
            f'<text x="{WIDTH - RIGHT + 8}" y="{y + BAR - 3}">{value}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bars(results: Mapping[str, Sequence[Row]]) -> Sequence[tuple[str, float]]:
    found = []
    for rows in results.values():
        for contest, members in contests(rows):
            ours = next((row for row in members if row.contestant == VMMGR and row.values), None)
            if ours is None:
                continue
            found += [
                (f"{contest}: {row.contestant}", advantage(ours, row))
                for row in members
                if row is not ours and row.values
            ]
    return found
