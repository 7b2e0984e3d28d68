# SPDX-License-Identifier: BSD-2-Clause
"""Results for the terminal, as Markdown, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.row import VMMGR, Row, advantage

HEADINGS = ("", "median", "best", "unit", "N", "vmmgr is")
LICENCE_TAG = "SPDX-License-Identifier"
Results = Mapping[str, Sequence[Row]]
"""Benchmark -> rows."""


def contests(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """The rows of each contest, contests in order of appearance."""
    names = dict.fromkeys(row.contest for row in rows)
    for name in names:
        yield name, [row for row in rows if row.contest == name]


def text(benchmark: str, rows: Sequence[Row]) -> str:
    """One benchmark for a terminal."""
    lines = [f"== {benchmark}"]
    for name, members in contests(rows):
        lines.append(name)
        ours = reference(members)
        for row in members:
            if row.values:
                _, median, best, unit, count, versus = _cells(row, ours)
                lines.append(
                    f"  {row.contestant:34} {median:>10} {unit:5} best {best:>10}  N {count:>3}"
                    f"  {versus}".rstrip()
                )
            else:
                lines.append(f"  {row.contestant:34} absent: {row.absent or 'not measured'}")
    return "\n".join(lines)


def markdown(facts: Mapping[str, str], results: Results) -> str:
    """A page: everything, for docs/benchmarks.md."""
    lines = [
        f"<!-- {LICENCE_TAG}: BSD-2-Clause -->",
        "# Benchmarks",
        "",
        "Written by `python -m benchmarks --markdown docs/benchmarks.md`; run it again rather than",
        "edit it. Contestants took turns in one run on one computer, so compare within a table.",
        "*Median* and *best* are of N repetitions. The last column is vmmgr's median against the",
        "peer's.",
        "",
        "![How many times as fast as each peer](benchmarks.svg)",
        "",
        "| | |",
        "|---|---|",
        *(f"| {_cell(name)} | {_cell(value)} |" for name, value in facts.items()),
    ]
    for benchmark, rows in results.items():
        lines += ["", f"## {benchmark}"]
        for name, members in contests(rows):
            lines += ["", f"### {name[0].upper()}{name[1:]}", ""]
            lines += _table(members)
            lines += _notes(members)
    return "\n".join(lines) + "\n"


def plain(facts: Mapping[str, str], results: Results) -> dict[str, Any]:
    """Everything, for JSON."""
    return {
        "schema": 1,
        "host": dict(facts),
        "benchmarks": {
            name: [
                _plain_row(row, reference(members))
                for _, members in contests(rows)
                for row in members
            ]
            for name, rows in results.items()
        },
    }


def _plain_row(row: Row, ours: Row | None) -> dict[str, Any]:
    result = asdict(row)
    if row.values:
        result |= {"median": row.median, "best": row.best}
    if row.values and ours is not None and row is not ours:
        result["advantage"] = advantage(ours, row)
    return result


def reference(members: Sequence[Row]) -> Row | None:
    """Who the others are compared with: vmmgr, if it took part."""
    return next((row for row in members if row.contestant == VMMGR and row.values), None)


def _table(members: Sequence[Row]) -> list[str]:
    ours = reference(members)
    lines = [f"| {' | '.join(HEADINGS)} |", "|---|---:|---:|---|---:|---|"]
    for row in members:
        if row.values:
            lines.append(f"| {' | '.join(_cell(cell) for cell in _cells(row, ours))} |")
        else:
            lines.append(f"| {_cell(row.contestant)} | absent | | | 0 | |")
    return lines


def _notes(members: Sequence[Row]) -> list[str]:
    lines = []
    for row in members:
        for remark in (row.note, f"absent: {row.absent}" if row.absent else ""):
            if remark:
                lines.append(f"- {_cell(row.contestant)}: {_cell(remark)}")
    return ["", *lines] if lines else []


def _cells(row: Row, ours: Row | None) -> tuple[str, str, str, str, str, str]:
    versus = ""
    if ours is not None and row is not ours:
        ratio = advantage(ours, row)
        versus = f"{ratio:.3g} times as fast" if ratio >= 1 else f"{1 / ratio:.3g} times slower"
    return (
        row.contestant, number(row.median), number(row.best), row.unit, str(len(row.values)), versus
    )  # fmt: skip


def number(value: float) -> str:
    """Three digits that count; thousands in groups."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
