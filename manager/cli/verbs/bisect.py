# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr bisect`: find the virtual time at which something first holds."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from manager import scratch
from manager.cli.arguments import add_settings, duration, pattern
from manager.cli.output import print_json


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    from manager.cli.proofs import add_inputs

    parser = subparsers.add_parser(
        "bisect",
        description="Runs the machine again and again and halves the time, until it knows to the "
        "block of code when a condition first holds that does not at --good and does at --bad.",
    )
    parser.add_argument("file", metavar="FILE", type=Path)
    parser.add_argument(
        "--good", metavar="TIME", type=duration, default=0, help="it does not hold yet [0s]"
    )
    parser.add_argument("--bad", metavar="TIME", type=duration, required=True, help="it holds")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--check",
        metavar="CMD",
        help="a shell command ends with 0; it has $VMMGR_TIME and $VMMGR_SNAPSHOT",
    )
    what.add_argument(
        "--pattern", metavar="RE", type=pattern, help="the port's output after --good matches"
    )
    what.add_argument(
        "--memory",
        metavar="ADDR=VALUE",
        type=_memory,
        help="RAM holds VALUE, in hexadecimal: two digits for each byte, most significant first",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_inputs(parser)
    add_settings(parser)
    parser.set_defaults(run=run)


def _memory(text: str) -> tuple[int, bytes]:
    address, _, value = text.partition("=")
    digits = value.removeprefix("0x")
    try:
        return int(address, 0), bytes.fromhex(digits.zfill(len(digits) + len(digits) % 2))[::-1]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not ADDR=VALUE") from None


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.arguments import load
    from manager.cli.proofs import inputs_of, port_of
    from manager.replay import bisect
    from manager.replay.checks import seconds

    graph = load(args.file, args.settings, require_files=True)
    needs_port = args.sends or args.pattern is not None
    port = port_of(graph, args.port) if needs_port else ""
    inputs = inputs_of(graph, args.sends, args.input, port)
    question = bisect.Question(graph, args.good, args.bad, inputs)
    began = time.monotonic()
    with scratch.folder("vmmgr-bisect-") as folder:
        if args.pattern is not None:
            found = bisect.first_output(question, args.pattern, port)
        elif args.memory is not None:
            found = bisect.first(question, bisect.memory_holds(*args.memory), folder)
        else:
            found = bisect.first(question, bisect.command_holds(args.check, folder), folder)
    took = time.monotonic() - began
    if args.json:
        print_json({"at": found.at, "rip": found.rip, "runs": found.runs})
    else:
        runs = f"{found.runs} run{'' if found.runs == 1 else 's'}"
        print(f"first at {seconds(found.at)}, code at {found.rip:#x}; {runs}, {took:.1f} s")
    return 0
