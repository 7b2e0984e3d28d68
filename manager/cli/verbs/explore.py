# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr explore`: run a machine under many seeds, and tell the smallest that fails."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from manager import scratch
from manager.cli.arguments import add_jobs, add_settings, duration
from manager.cli.script import add_junit, add_steps
from manager.cli.shards import add_shard
from manager.errors import ExitCode

if TYPE_CHECKING:
    from manager.cli.explorable import Explorable
    from manager.cli.explored import Report
    from manager.replay.explore import Exploration, Journal

LAST_SEED = (1 << 64) - 1
BUDGET = 10_000_000_000
"""ns of virtual time, unless the user names another: a guest may hang under any seed."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "explore",
        description="Runs the machine that FILE declares once for each seed of "
        "`[cpu] schedule = { seed = N }`, as `run` does, and counts what came of it. It stops at "
        "the first failure: --fail-on matched, the guest faulted, the time is used up, or the "
        "machine ended before the last --until matched, or with a status of its own that is no "
        "success. Then it tells the smallest seed that fails, whose turns and which interrupts "
        "came last before, where each CPU was, and the command that shows it again. The exit code "
        "is 0 when no seed failed, 8 when --fail-on matched for one, 6 when one faulted, else "
        "what `run` ends with for the smallest that failed. Of a lab the seed also decides which "
        "frames its links lose; --until and --send name the machine, as in 'client:login: $', and "
        "--fail-on may, which else looks at the consoles of all.",
    )
    parser.add_argument("file", metavar="FILE", type=Path)
    parser.add_argument(
        "--seeds",
        metavar="A-B",
        type=_seeds,
        required=True,
        help="which: 1-1000, or 7, or several of them with commas",
    )
    add_shard(parser, "the seeds")
    add_steps(parser)
    parser.add_argument(
        "--max-time",
        metavar="DUR",
        type=duration,
        default=BUDGET,
        help="virtual time that each may take [10s]",
    )
    parser.add_argument(
        "--from",
        dest="start",
        metavar="SNAPSHOT",
        help="begin there, whatever the schedule was until then: NAME, NAME:TAG, or a directory",
    )
    parser.add_argument("--port", metavar="P", help="com1..com4 or a device id [the console]")
    add_jobs(parser)
    parser.add_argument(
        "--keep-going", action="store_true", help="try all seeds, whatever comes of them"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on where the same exploration was interrupted; the seeds may be others",
    )
    parser.add_argument(
        "--symbols",
        metavar="ELF",
        type=Path,
        help="the guest's symbols, for places [the kernel that is booted]",
    )
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each seed")
    add_junit(parser, "a case for each seed")
    add_settings(parser)
    parser.set_defaults(run=run)


def _seeds(text: str) -> tuple[range, ...]:
    """Argparse type of seeds: ranges in ascending order, none twice."""
    found: list[range] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            one = int(first)
            other = int(last) if dash else one
        except ValueError:
            raise argparse.ArgumentTypeError(f"{part!r} is not A-B") from None
        if not 0 <= one <= other <= LAST_SEED:
            raise argparse.ArgumentTypeError(
                f"{part!r} is no range of seeds: A-B, ascending, from 0 to 2^64 - 1"
            )
        found.append(range(one, other + 1))
    found.sort(key=lambda item: item.start)
    apart: list[range] = []
    for item in found:
        start = max(item.start, apart[-1].stop if apart else 0)
        if start < item.stop:
            apart.append(range(start, item.stop))
    return tuple(apart)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli import lab_files
    from manager.cli.explorable import OfLab, OfMachine

    args.seeds = tuple(part for item in args.seeds if (part := args.shard.part(item)))
    if not args.seeds:
        print("0 of 0 seeds: there are none in this shard", file=sys.stderr)
        return ExitCode.OK
    return _run(args, OfLab(args) if lab_files.is_lab(args.file) else OfMachine(args))


def _run(args: argparse.Namespace, explored: Explorable) -> int:
    from manager.cli.explorable import journal_path
    from manager.cli.explored import Report
    from manager.replay import subjects
    from manager.replay.explore import Exploration, Journal
    from manager.replay.seeds import Task

    journal = Journal(journal_path(explored), goes_on=args.resume)
    total = sum(-(-(item.stop - item.start) // item.step) for item in args.seeds)
    junit = None
    if args.junit is not None:
        from manager.cli.junit import Report as JunitReport

        junit = JunitReport(args.junit, "vmmgr.explore")
    report = Report(total, explored.symbols, as_json=args.json, junit=junit)
    try:
        with scratch.folder("vmmgr-explore-") as folder:
            subject = folder / "subject.cbor"
            subjects.write(subject, explored.any_seed, ())
            task = Task(
                str(subject), explored.trial.to_plain(), str(explored.start or ""), explored.parts
            )
            exploration = Exploration(
                task, _untried(args, journal, report), args.jobs, args.keep_going
            )
            return _explore(args, exploration, journal, report, explored)
    finally:
        journal.close()


def _explore(
    args: argparse.Namespace,
    exploration: Exploration,
    journal: Journal,
    report: Report,
    explored: Explorable,
) -> int:
    from manager.cli.explored import command_for

    with report:
        try:
            for result in exploration.results():
                journal.add(result)
                report.add(result)
        except KeyboardInterrupt:
            report.close()
            print(
                f"vmmgr: interrupted after {report.count} seeds; the same command with --resume "
                "goes on",
                file=sys.stderr,
            )
            return ExitCode.INTERRUPTED
        smallest = report.smallest
        if smallest is not None:
            settings = explored.settings(smallest.seed)
            report.explain(exploration.explain(smallest.seed), command_for(args, settings))
        report.finish()
    return report.status


def _untried(args: argparse.Namespace, journal: Journal, report: Report) -> Iterator[int]:
    """The seeds that are left to try; the report gets those that the journal knows."""
    limit = LAST_SEED + 1
    for seed in sorted(journal.known):
        if seed < limit and any(seed in item for item in args.seeds):
            report.known += 1
            report.add(journal.known[seed])
            if journal.known[seed].tried.is_failure and not args.keep_going:
                limit = seed
    return (
        seed
        for item in args.seeds
        for seed in range(item.start, min(item.stop, limit), item.step)
        if seed not in journal.known
    )
