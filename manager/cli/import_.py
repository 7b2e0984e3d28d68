# SPDX-License-Identifier: BSD-2-Clause
"""Under way."""

from __future__ import annotations

import argparse


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    subparsers.add_parser("import")


def run(args: argparse.Namespace) -> int:
    """Not yet."""
    return 2
