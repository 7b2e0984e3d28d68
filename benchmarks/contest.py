# SPDX-License-Identifier: BSD-2-Clause
"""Contestants take turns: A, B, A, B, ... so that a busy moment of the host hits all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.row import AbsentError, Row

Attempt = Callable[[], float]
"""Does the work once and returns the figure. Raises AbsentError if it cannot be done here."""


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
    values: dict[str, list[float]] = {contestant: [] for contestant in attempts}
    absent: dict[str, str] = {}
    for _ in range(rounds):
        for contestant, attempt in attempts.items():
            if contestant in absent:
                continue
            try:
                values[contestant].append(attempt())
            except AbsentError as error:
                absent[contestant] = str(error)
    return [
        Row(
            name,
            contestant,
            unit,
            () if contestant in absent else tuple(values[contestant]),
            more_is_better,
            absent.get(contestant, ""),
            (notes or {}).get(contestant, ""),
        )
        for contestant in attempts
    ]
