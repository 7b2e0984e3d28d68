# SPDX-License-Identifier: BSD-2-Clause
"""Contestants take turns: A, B, A, B, ... so that a busy moment of the host hits all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmarks.row import AbsentError, Row

Attempt = Callable[[], float]
"""Does the work once and returns the figure. Raises AbsentError if it cannot be done here."""
Figures = Mapping[str, float]
"""Contest -> figure."""


def contest(
    name: str,
    unit: str,
    attempts: Mapping[str, Attempt],
    rounds: int,
    *,
    more_is_better: bool = False,
    notes: Mapping[str, str] | None = None,
) -> list[Row]:
    """One row for each contestant, in the order of `attempts`.

    Who cannot take part has a row that says why, and is not asked again.
    """

    def figures(attempt: Attempt) -> Callable[[], Figures]:
        return lambda: {name: attempt()}

    contestants = {contestant: figures(attempt) for contestant, attempt in attempts.items()}
    return contests([name], unit, contestants, rounds, more_is_better=more_is_better, notes=notes)


def contests(
    names: Sequence[str],
    unit: str,
    contestants: Mapping[str, Callable[[], Figures]],
    rounds: int,
    *,
    more_is_better: bool = False,
    notes: Mapping[str, str] | None = None,
) -> list[Row]:
    """Several contests whose figures come out of one attempt; a contestant may be in some only."""
    figures: dict[str, list[Figures]] = {contestant: [] for contestant in contestants}
    absent: dict[str, str] = {}
    for _ in range(rounds):
        for contestant, attempt in contestants.items():
            if contestant in absent:
                continue
            try:
                figures[contestant].append(attempt())
            except AbsentError as error:
                absent[contestant] = str(error)
    rows = []
    for name in names:
        for contestant in contestants:
            why = absent.get(contestant, "")
            values = () if why else tuple(f[name] for f in figures[contestant] if name in f)
            if values or why:
                note = (notes or {}).get(contestant, "")
                rows.append(Row(name, contestant, unit, values, more_is_better, why, note))
    return rows
