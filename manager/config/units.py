# SPDX-License-Identifier: BSD-2-Clause
"""Sizes and durations as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

_SIZES = {"": 1, "K": KIB, "M": MIB, "G": GIB}
_TIMES = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_RATES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
LOSS_UNIT = 10**9
"""What a loss of 1, of all frames, is as an integer."""
LONGEST = 100 * 366 * 24 * 3600 * 10**9
"""Of durations, in ns."""
_SIZE = re.compile(r"([0-9]{1,30})([KMG]?)")
_RATE = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,9}))?([KMG]?)")
_DURATION = re.compile(r"([0-9]{1,30})(?:\.([0-9]{1,9}))?(ns|us|ms|s|m|h)")


def parse_size(text: str) -> int:
    """Bytes in a size such as "256M"; K, M and G are powers of two. Raises ValueError.

    >>> parse_size("64K")
    65536
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is not a size')
    return int(match[1]) * _SIZES[match[2]]


def format_size(size: int) -> str:
    """The shortest text that `parse_size` turns into `size`.

    >>> format_size(268435456)
    '256M'
    """
    return _shortest(size, "GMK", _SIZES)


def show_size(size: int) -> str:
    """A size for reading, with its unit.

    >>> show_size(268435456)
    '256 MiB'
    """
    text = format_size(size)
    if text[-1] in "KMG":
        return f"{text[:-1]} {text[-1]}iB"
    return f"{text} byte{'' if size == 1 else 's'}"


def parse_duration(text: str) -> int:
    """Nanoseconds in a duration such as "120s", "1.5s" or "200ms". Raises ValueError.

    >>> parse_duration("1.5s")
    1500000000
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is not a duration')
    duration = _scaled(match, _TIMES)
    if duration > LONGEST:
        raise ValueError(f'"{text}" is longer than 100 years')
    return duration


def format_duration(duration: int) -> str:
    """The shortest text, in whole units, that `parse_duration` turns into `duration` ns.

    >>> format_duration(120_000_000_000)
    '2m'
    """
    return _shortest(duration, ("h", "m", "s", "ms", "us"), _TIMES, "ns")


def parse_rate(text: str) -> int:
    """Bits a second in a bandwidth such as "1G" or "2.5M"; K, M, G are powers of ten.

    Raises ValueError.

    >>> parse_rate("2.5M")
    2500000
    """
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is not a bandwidth')
    return _scaled(match, _RATES)


def format_rate(rate: int) -> str:
    """The shortest text, in whole units, that `parse_rate` turns into `rate` bits a second.

    >>> format_rate(100_000_000)
    '100M'
    """
    return _shortest(rate, "GMK", _RATES)


def format_loss(loss: int) -> str:
    """A loss in LOSS_UNIT as a number from 0 to 1.

    >>> format_loss(10_000_000), format_loss(LOSS_UNIT), format_loss(1)
    ('0.01', '1', '0.000000001')
    """
    whole, part = divmod(loss, LOSS_UNIT)
    return f"{whole}.{part:09}".rstrip("0").rstrip(".")


def _scaled(match: re.Match[str], units: Mapping[str, int]) -> int:
    """A whole number, up to nine digits of a fraction, and a unit: in the smallest unit."""
    unit = units[match[3]]
    return int(match[1]) * unit + int((match[2] or "").ljust(9, "0")) * unit // 10**9


def _shortest(
    value: int, suffixes: Iterable[str], units: Mapping[str, int], smallest: str = ""
) -> str:
    for suffix in suffixes:
        if value and value % units[suffix] == 0:
            return f"{value // units[suffix]}{suffix}"
    return f"{value}{smallest}"
