# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr down`: power running machines off."""

from __future__ import annotations

import argparse
from contextlib import suppress
from typing import TYPE_CHECKING

from manager.cli.together import add_names, chosen, each

if TYPE_CHECKING:
    from manager.state.situation import Situation


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "down",
        description="Powers running machines off, as if their plug were pulled. Use `suspend` to "
        "keep their state.",
    )
    add_names(parser, "every machine that runs")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    return each(chosen(args), power_off)


def power_off(situation: Situation) -> str:
    """Power one off, and wait until its process is gone. Raises VmmgrError."""
    from manager.cli.clients import await_end, connect
    from manager.client.client import HungUpError

    with suppress(HungUpError), connect(situation) as client:  # it may just come to its end
        client.execute("down")
    await_end(situation.paths)
    return f"{situation.name} powered off"
