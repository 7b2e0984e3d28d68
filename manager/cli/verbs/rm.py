# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr rm`: remove machines with all their states."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from manager.cli.output import size
from manager.errors import WrongStateError

if TYPE_CHECKING:
    from manager.state.situation import Situation


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "rm",
        description="Removes machines that do not run: every snapshot, what their guests wrote to "
        "disks, logs and recordings. Machine files and disk images stay. Asks first.",
    )
    parser.add_argument("names", metavar="NAME", nargs="+", help="a machine, or its machine file")
    parser.add_argument(
        "-f", "--force", action="store_true", help="do not ask, and drop a suspended state too"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.arguments import find
    from manager.cli.together import each
    from manager.state.removal import remove

    found = {situation.name: situation for situation in map(find, args.names)}
    for situation in found.values():
        _refuse(situation, args.force)
        if not args.force:
            _ask(situation)

    def act(situation: Situation) -> str:
        remove(situation.paths)
        return f"{situation.name} removed"

    return each(list(found.values()), act)


def _refuse(situation: Situation, force: bool) -> None:
    from manager.state.paths import require_no_lab

    name = situation.name
    require_no_lab(situation.paths, "rm")
    if situation.state == "running":
        raise WrongStateError(f"{name} is running", help=f"power it off first: `vmmgr down {name}`")
    if situation.state == "suspended" and not force:
        raise WrongStateError(
            f"{name} is suspended",
            help=f"`vmmgr resume {name}` goes on with it; `vmmgr discard {name}` drops its state, "
            "and so does --force",
        )


def _ask(situation: Situation) -> None:
    from manager.cli.questions import confirm
    from manager.state.removal import Holdings

    held = Holdings.of(situation)
    parts = []
    if held.is_suspended:
        parts.append("its last suspended state")
    if held.snapshots:
        parts.append(f"its snapshots {', '.join(held.snapshots)}")
    if held.has_disks:
        parts.append("what it wrote to its disks")
    parts.append("its logs")
    what = f"{situation.name}, with {', '.join(parts)} ({size(held.size)})"
    confirm(f"Remove {what}?", loss=f"this would remove {what}", option="--force")
