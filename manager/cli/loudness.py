# SPDX-License-Identifier: BSD-2-Clause
"""`-q` and `-v`: how much vmmgr says beside what was asked for.

With `-q` only errors and questions are told; with `-v` also what is done underneath.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from manager.text.shown import Muted, loud

_QUIET, _NORMAL, _VERBOSE = -1, 0, 1
_level = _NORMAL


def add_options(parser: argparse.ArgumentParser, *, shown: bool) -> None:
    """Add `-q` and `-v`, without a default so that they count before and after the verb."""
    for flags, constant, help in (
        (("-q", "--quiet"), _QUIET, "say nothing but errors"),
        (("-v", "--verbose"), _VERBOSE, "say what is done"),
    ):
        parser.add_argument(
            *flags,
            dest="loudness",
            action="store_const",
            const=constant,
            default=argparse.SUPPRESS,
            help=help if shown else argparse.SUPPRESS,
        )


@contextmanager
def of(args: argparse.Namespace) -> Iterator[None]:
    """Be as loud as asked."""
    global _level  # noqa: PLW0603  one command line has one loudness
    before, stream = _level, sys.stderr
    _level = getattr(args, "loudness", _NORMAL)
    if _level == _QUIET:
        sys.stderr = Muted(stream)
    try:
        yield
    finally:
        _level, sys.stderr = before, stream


def detail(text: str) -> None:
    """Say what is done, if the user wants to know."""
    if _level == _VERBOSE:
        print(f"vmmgr: {text}", file=loud(sys.stderr), flush=True)
