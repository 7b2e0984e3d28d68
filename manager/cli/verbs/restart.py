# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr restart`: power machines off and boot them again."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from manager.cli.launching import Wish, add_options, bring_up, check, refuse_doubles
from manager.errors import WrongStateError

if TYPE_CHECKING:
    from manager.state.situation import Situation


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "restart",
        description="Powers a machine off, as `down` does, and boots it again as its file is now; "
        "one that does not run is only booted. While anything is wrong with the file, the machine "
        "runs on.",
    )
    parser.add_argument("names", metavar="NAME", nargs="+", help="a machine, or its machine file")
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.arguments import find_machine
    from manager.cli.targets import of_known
    from manager.cli.together import each
    from manager.cli.verbs.down import power_off
    from manager.state.situation import look

    check(args, len(args.names))
    situations = [find_machine(name) for name in args.names]
    for situation in situations:
        _refuse_suspended(situation)
    wishes = [Wish.of(of_known(situation, args.settings)) for situation in situations]
    refuse_doubles([wish.graph for wish in wishes])
    for wish, situation in zip(wishes, situations, strict=True):
        _refuse_other_name(wish, situation)
        wish.target.require_boot_files(wish.graph)
    running = [situation for situation in situations if situation.state == "running"]
    if status := each(running, power_off):
        return status
    return bring_up(args, [replace(wish, situation=look(wish.situation.paths)) for wish in wishes])


def _refuse_suspended(situation: Situation) -> None:
    name = situation.name
    if situation.state != "running" and situation.saved is not None:
        raise WrongStateError(
            f"{name} is {situation.state}, and has a suspended state",
            help=f"`vmmgr resume {name}` goes on with it; `vmmgr up --fresh {name}` drops it and "
            "boots",
        )


def _refuse_other_name(wish: Wish, situation: Situation) -> None:
    if wish.graph.name != situation.name:
        raise WrongStateError(
            f"{wish.target.file} is of the machine {wish.graph.name!r} by now, not "
            f"{situation.name!r}",
            help=f"`vmmgr down {situation.name}`, then `vmmgr up {wish.target.file}`",
        )
