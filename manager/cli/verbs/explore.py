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
from manager.cli.script import add_junit, add_steps, check_screen, steps_of
from manager.errors import ExitCode

if TYPE_CHECKING:
    from manager.cli.explored import Report
    from manager.graph.nodes import Graph
    from manager.machine.trial import Trial
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
        "what `run` ends with for the smallest that failed.",
    )
    parser.add_argument("file", metavar="FILE", type=Path)
    parser.add_argument(
        "--seeds",
        metavar="A-B",
        type=_seeds,
        required=True,
        help="which: 1-1000, or 7, or several of them with commas",
    )
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
    from manager.cli.explored import Report, symbols_of
    from manager.replay import subjects
    from manager.replay.explore import Exploration, Journal
    from manager.replay.seeds import Task

    graph = _with_a_seed(args)
    trial = _trial(args, graph)
    start = _start(args, graph)
    symbols = symbols_of(args.symbols, graph)
    journal = Journal(_journal_path(graph, trial, start), goes_on=args.resume)
    total = sum(item.stop - item.start for item in args.seeds)
    junit = None
    if args.junit is not None:
        from manager.cli.junit import Report as JunitReport

        junit = JunitReport(args.junit, "vmmgr.explore")
    report = Report(total, symbols, as_json=args.json, junit=junit)
    try:
        with scratch.folder("vmmgr-explore-") as folder:
            machine = folder / "machine.cbor"
            subjects.write(machine, graph, ())
            task = Task(str(machine), trial.to_plain(), str(start or ""))
            exploration = Exploration(
                task, _untried(args, journal, report), args.jobs, args.keep_going
            )
            return _explore(args, exploration, journal, report)
    finally:
        journal.close()


def _explore(
    args: argparse.Namespace, exploration: Exploration, journal: Journal, report: Report
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
            report.explain(exploration.explain(smallest.seed), command_for(args, smallest.seed))
        report.finish()
    return report.status


def _with_a_seed(args: argparse.Namespace) -> Graph:
    """The machine, its schedule with a seed whatever its file says. Raises UsageError."""
    from manager.cli.arguments import load

    settings = [*args.settings, f"cpu.schedule.seed={args.seeds[0].start}"]
    return load(args.file, settings, require_files=True)


def _trial(args: argparse.Namespace, graph: Graph) -> Trial:
    from manager.cli.proofs import port_of
    from manager.machine.expectation import UntilScreen
    from manager.machine.trial import Trial

    steps = steps_of(args)
    check_screen(steps, graph)
    on_port = any(not isinstance(step, UntilScreen) for step in steps)
    needs_port = on_port or args.fail_on is not None or args.port is not None
    port = port_of(graph, args.port) if needs_port else ""
    return Trial(steps, args.fail_on, args.max_time, port)


def _start(args: argparse.Namespace, graph: Graph) -> Path | None:
    """The snapshot's directory, if one is named and fits. Raises VmmgrError."""
    if args.start is None:
        return None
    from manager.cli.snapshot.refs import find_snapshot
    from manager.machine.match import check
    from manager.snapshot.read import open_snapshot

    opened = open_snapshot(find_snapshot(args.start))
    check(graph, opened, any_schedule=True)
    return opened.directory.absolute()


def _journal_path(graph: Graph, trial: Trial, start: Path | None) -> Path:
    """Where the results of this exploration are kept: the same for any seeds."""
    from dataclasses import replace

    from blake3 import blake3

    from manager.graph.identity import full_hash
    from manager.machine.boot_images import BootImages
    from manager.snapshot.read import open_snapshot
    from manager.state.paths import state_home
    from manager.version import of_code

    assert graph.cpu_seed is not None
    any_seed = replace(graph, cpu_seed=replace(graph.cpu_seed, seed=0))
    images = BootImages.of(graph).digests() if start is None else {}
    begin = open_snapshot(start).id if start is not None else b""
    what = repr((full_hash(any_seed), sorted(images.items()), trial.to_plain(), begin, of_code()))
    return state_home() / ".explore" / f"{blake3(what.encode()).hexdigest(16)}.jsonl"


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
        for seed in range(item.start, min(item.stop, limit))
        if seed not in journal.known
    )
