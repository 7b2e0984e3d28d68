# SPDX-License-Identifier: BSD-2-Clause
"""Asking the user before something is lost."""

from __future__ import annotations

import sys

from manager.errors import UsageError
from manager.text.shown import loud


def confirm(question: str, *, loss: str, option: str) -> None:
    """Ask, and go on only after a yes.

    Raises UsageError for any other answer; and where there is no terminal, with `loss`, which says
    what would be lost, and `option`, by which it is meant without a question.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(loss, help=f"add {option} if that is meant")
    print(f"{question} [y/N] ", end="", file=loud(sys.stderr), flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was done")
