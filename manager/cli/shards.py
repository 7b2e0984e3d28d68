# SPDX-License-Identifier: BSD-2-Clause
"""One of several commands that share work, on as many hosts as there are."""

from __future__ import annotations

import argparse

from manager.lazy import dataclass


@dataclass(frozen=True, slots=True)
class Shard:
    """The `number`th (from 1) of `of`: which part it has depends on nothing else."""

    number: int
    of: int

    def part(self, numbers: range) -> range:
        """Those of consecutive numbers that are in it.

        >>> [list(Shard(number, 3).part(range(5, 12))) for number in (1, 2, 3)]
        [[6, 9], [7, 10], [5, 8, 11]]
        """
        first = numbers.start + (self.number - 1 - numbers.start) % self.of
        return range(first, max(first, numbers.stop), self.of)


def add_shard(parser: argparse.ArgumentParser, what: str) -> None:
    """Add `--shard`; `what` is divided."""
    parser.add_argument(
        "--shard",
        metavar="I/N",
        type=_shard,
        default=Shard(1, 1),
        help=f"only the Ith of N parts of {what}, I from 1: for N commands on N hosts. Each has "
        "the same in every run",
    )


def _shard(text: str) -> Shard:
    """Argparse type of I/N."""
    number, slash, of = text.partition("/")
    if not (slash and number.isascii() and number.isdigit() and of.isascii() and of.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N, as in 3/10")
    if len(text) > 20 or not 1 <= int(number) <= int(of):
        raise argparse.ArgumentTypeError(f"{text!r}: I is 1 to N")
    return Shard(int(number), int(of))
