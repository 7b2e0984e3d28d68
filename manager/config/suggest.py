# SPDX-License-Identifier: BSD-2-Clause
"""What was probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A help line: the one known word that is close to `word`, or all of them.

    >>> did_you_mean("kernl", ["kernel", "image"])
    'did you mean `kernel`?'
    >>> did_you_mean("x", ["kernel", "image"])
    'possible here: `image`, `kernel`'
    """
    import difflib

    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"possible here: {', '.join(f'`{item}`' for item in words)}" if words else None
