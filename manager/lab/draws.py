# SPDX-License-Identifier: BSD-2-Clause
"""Numbers of a seed, by position: the generator of seeded schedules, SplitMix64 (see turns.c)."""

from __future__ import annotations

_WORD = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15


def number(seed: int, position: int) -> int:
    """The number of 64 bits at `position`, from 1 on, of what `seed` stands for.

    >>> hex(number(1234567, 1))
    '0x599ed017fb08fc85'
    """
    z = (seed + position * _STEP) & _WORD
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _WORD
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _WORD
    return z ^ z >> 31


def draw(seed: int, position: int, limit: int) -> int:
    """The same, below `limit`."""
    return number(seed, position) % limit
