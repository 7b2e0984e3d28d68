# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr verify`: prove that suspending a machine anywhere leaves its run as it is."""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from manager import scratch
from manager.cli.arguments import add_jobs, add_settings, duration
from manager.cli.output import print_json
from manager.errors import ExitCode
from manager.text.shown import unfiltered

if TYPE_CHECKING:
    from manager.graph.lab import Lab
    from manager.graph.nodes import Graph
    from manager.machine.inputs import Input
    from manager.replay.verify import Mismatch, Plan, Report


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    from manager.cli.proofs import add_inputs

    parser = subparsers.add_parser(
        "verify",
        description="Runs the machine undisturbed, in slices, and suspended at random points and "
        "resumed in new processes, and compares what the ports sent, all RAM and the state of "
        "every device at every point. On a mismatch it finds the first difference and leaves "
        "both states. Of a lab it does so with all machines and what is between them, at ends of "
        "quanta; --send then names the machine, TIME:MACHINE:TEXT or TIME:MACHINE.PORT:TEXT.",
    )
    parser.add_argument("file", metavar="FILE", type=Path)
    parser.add_argument("--points", metavar="N", type=int, default=20, help="how many [20]")
    parser.add_argument("--seed", metavar="S", type=int, help="which; a random one by default")
    parser.add_argument(
        "--until",
        metavar="TIME",
        type=duration,
        default=2_000_000_000,
        help="virtual time of the run [2s]",
    )
    add_jobs(parser)
    parser.add_argument("--keep", metavar="DIR", type=Path, help="where to leave the states")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_inputs(parser)
    add_settings(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.replay.processes import Processes
    from manager.replay.verify import Plan, Verification

    seed = secrets.randbelow(1 << 32) if args.seed is None else args.seed
    subject, inputs = _subject(args)
    plan = Plan(subject, args.until, max(0, args.points), seed, inputs)
    folder = args.keep or Path(tempfile.mkdtemp(prefix="vmmgr-verify-"))
    shown = sys.stderr.isatty() and not args.json

    def progress(done: int, of: int) -> None:
        if shown:
            print(f"\r{done} of {of} points ", end="", file=unfiltered(sys.stderr), flush=True)

    began = time.monotonic()
    report: Report | None = None
    with scratch.undone_by_signals():
        try:
            report = Verification(plan, folder, Processes(args.jobs), progress).run()
        finally:
            if (report is None or report.mismatch is None) and args.keep is None:
                shutil.rmtree(folder, ignore_errors=True)
    if shown:
        print("\r", end="", file=unfiltered(sys.stderr))
    took = time.monotonic() - began
    if args.json:
        print_json(_as_json(plan, report, took))
    else:
        print("\n".join(_as_text(plan, report, took)))
    return ExitCode.OK if report.mismatch is None else ExitCode.FAILURE


def _subject(args: argparse.Namespace) -> tuple[Graph | Lab, list[Input]]:
    """The machine or lab, and what it is sent. Raises UsageError."""
    from manager.cli import lab_files
    from manager.cli.arguments import load, load_lab

    if lab_files.is_lab(args.file):
        from manager.cli import lab_ends

        lab = load_lab(args.file, args.settings, require_files=True)
        return lab, lab_ends.inputs_of(lab, args.sends, args.input, args.port)
    from manager.cli.proofs import inputs_of, port_of

    graph = load(args.file, args.settings, require_files=True)
    port = port_of(graph, args.port) if args.sends else ""
    return graph, inputs_of(graph, args.sends, args.input, port)


def _as_text(plan: Plan, report: Report, took: float) -> list[str]:
    from manager.replay.checks import seconds

    name = plan.subject.name
    if report.mismatch is None:
        lines = [
            f"{name}: {report.points} points held, to {seconds(plan.until)} of virtual time, "
            f"in {report.processes} processes and {took:.1f} s; seed {plan.seed}"
        ]
        if report.ended:
            lines.append(f"it ended before: {report.ended}")
        return lines
    return [
        f"{name}: NOT the same; `--seed {plan.seed} --points {plan.points}` shows it again",
        *_explained(report.mismatch),
    ]


def _explained(mismatch: Mismatch) -> list[str]:
    from manager.replay import compare
    from manager.replay.checks import seconds

    lines = [f"  compared: {mismatch.what}"]
    if mismatch.reproduced:
        lines.append(
            f"  the same up to {seconds(mismatch.after)}, different at {seconds(mismatch.at)}:"
        )
    else:
        lines.append(
            "  it did not happen again: something outside the machine decides. "
            f"Seen between {seconds(mismatch.after)} and {seconds(mismatch.at)}:"
        )
    lines += [f"    {line}" for line in compare.listed(mismatch.differences)]
    if mismatch.states is not None:
        one, two = mismatch.states
        lines.append(f"  both states: `vmmgr snapshot diff {one} {two}`")
    return lines


def _as_json(plan: Plan, report: Report, took: float) -> dict[str, object]:
    mismatch = report.mismatch
    result: dict[str, object] = {
        "machine": plan.subject.name,
        "same": mismatch is None,
        "seed": plan.seed,
        "points": report.points,
        "until": plan.until,
        "processes": report.processes,
        "seconds": round(took, 3),
        "ended": report.ended,
    }
    if mismatch is not None:
        result["mismatch"] = {
            "compared": mismatch.what,
            "after": mismatch.after,
            "at": mismatch.at,
            "reproduced": mismatch.reproduced,
            "differences": [
                {"where": item.where, "one": item.one, "two": item.two}
                for item in mismatch.differences
            ],
            "states": [str(path) for path in mismatch.states or ()],
        }
    return result
