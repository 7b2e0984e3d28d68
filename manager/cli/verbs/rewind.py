# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr rewind` and `vmmgr step-back`: bring a running machine to an earlier time."""

from __future__ import annotations

import argparse

from manager.cli.arguments import duration
from manager.cli.output import print_json


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `rewind` to the command line."""
    parser = subparsers.add_parser(
        "rewind",
        description="Brings a running machine back in its own time and lets it go on from there, "
        "with whatever is typed then; a lab with all its machines and wires, to the end of a "
        "quantum of its time. Fast as far back as `[record] rewind` in the machine file "
        "says; before that, the machine is run again from its start.",
    )
    parser.add_argument("name", metavar="NAME", help="a machine or lab, or its file")
    parser.add_argument(
        "time",
        metavar="TIME",
        type=_time,
        help="back by how much, as in 2s; or with @, to which virtual time, as in @12.5s",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def register_step_back(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `step-back` to the command line."""
    parser = subparsers.add_parser(
        "step-back",
        description="As `rewind`, to the moment before the last thing that was typed or sent.",
    )
    parser.add_argument("name", metavar="NAME", help="a machine, or its machine file")
    parser.add_argument(
        "count", metavar="N", type=int, nargs="?", default=1, help="before the last N inputs [1]"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def _time(text: str) -> dict[str, int]:
    return {"to": duration(text[1:])} if text.startswith("@") else {"back": duration(text)}


def run(args: argparse.Namespace) -> int:
    """Carry out either verb."""
    from manager.cli.arguments import find
    from manager.cli.clients import connect
    from manager.errors import WrongStateError
    from manager.replay.checks import seconds

    wanted = args.time if "time" in args else {"inputs": args.count}
    situation = find(args.name)
    if situation.paths.is_lab and "inputs" in wanted:
        raise WrongStateError(
            f"{situation.name} is a lab, and what was last typed at one machine is no time of all",
            help=f"`vmmgr rewind {situation.name} TIME` takes all of it back",
        )
    with connect(situation, timeout=None) as client:
        result = client.execute("rewind", **wanted)
    if args.json:
        print_json({"name": situation.name, **result})
    else:
        print(
            f"{situation.name} is back at {seconds(result['virtual-time'])}, from "
            f"{seconds(result['from'])}; {result['replayed'] / 1e9:.3f} s were run again "
            f"in {result['seconds']:.2f} s"
        )
    return 0
