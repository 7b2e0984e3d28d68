# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr run`: run a machine that keeps no state, for tests and CI."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from manager.cli.arguments import add_settings, duration
from manager.cli.guest_output import GuestOutput, add_raw
from manager.cli.known_runs import Closing, add_cached
from manager.cli.script import add_junit, add_steps, check_screen, steps_of
from manager.errors import ExitCode, VmmgrError
from manager.text.shown import loud

if TYPE_CHECKING:
    from manager.machine.machine import Machine
    from manager.vmm.outcome import Outcome

_TELLS_ALREADY = (
    ExitCode.GUEST_FAULT,
    ExitCode.FAIL_ON_MATCHED,
    ExitCode.TIME_BUDGET,
    ExitCode.INTERRUPTED,
)
"""Exit codes that stand when output was lost as well."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "run",
        description="Boots the machine that FILE declares, prints what its console sends, and "
        "forgets it at its end. --until and --send take turns: each --until waits for its "
        "pattern, then the --send after it goes to the guest; a --send before any --until goes "
        "at once. When the last --until has matched, the exit code is 0. Virtual time runs as "
        "fast as the host can; the same files and options give the same output every time. Of a "
        "lab it runs all machines and prints their consoles by line; --until and --send name the "
        "machine, as in 'client:login: $' or 'client.com2:ok', and --fail-on may.",
    )
    parser.add_argument("file", metavar="FILE", type=Path)
    add_steps(parser)
    parser.add_argument(
        "--max-time",
        metavar="DUR",
        type=duration,
        help="end with exit code 124 after that much virtual time",
    )
    parser.add_argument(
        "--max-wall",
        metavar="DUR",
        type=duration,
        help="end with exit code 124 after that much time of the host's",
    )
    parser.add_argument(
        "--from",
        dest="start",
        metavar="SNAPSHOT",
        help="begin there instead of at power-on, with the schedule of FILE: NAME, NAME:TAG, or a "
        "directory",
    )
    parser.add_argument("--port", metavar="P", help="com1..com4 or a device id [the console]")
    parser.add_argument(
        "--paced", action="store_true", help="do not let virtual time overtake the host's"
    )
    add_raw(parser)
    add_cached(parser)
    add_junit(parser, "the machine is a case, with the end of its output")
    add_settings(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    if args.junit is None:
        return _run(args, len)[0]
    from manager.cli.junit import Case, Report, Tail

    report, output, began = Report(args.junit, "vmmgr.run"), Tail(), time.monotonic()
    name = args.file.stem

    def over(case: Case) -> None:
        seconds = time.monotonic() - began
        report.cases[0] = replace(case, seconds=seconds, output=output.content())
        report.finished = True
        report.write()

    try:
        status, said = _run(args, output.add)
    except VmmgrError as error:
        details = [error.help] if error.help else []
        over(Case(name, "error", error.exit_code.word, error.message, details))
        raise
    over(Case.of(name, status, said))
    return status


def _run(args: argparse.Namespace, heard: Callable[[bytes], object]) -> Closing:
    from manager.cli import lab_files

    if lab_files.is_lab(args.file):
        from manager.cli import lab_run

        return lab_run.carry_out(args, heard)
    from manager.cli.arguments import load
    from manager.machine.expectation import Until, UntilScreen
    from manager.vmm.ephemeral import Script, run_ephemeral

    steps = steps_of(args)
    script = Script(
        steps, args.fail_on, args.max_time, args.max_wall, args.port, args.raw, args.cached
    )
    graph = load(args.file, args.settings, require_files=True)
    check_screen(steps, graph)
    start = None
    if args.start is not None:
        from manager.cli.snapshot.refs import find_snapshot
        from manager.snapshot.read import open_snapshot

        start = open_snapshot(find_snapshot(args.start))

    def run(
        heard: Callable[[bytes], object], at_end: Callable[[Machine], object] | None = None
    ) -> Outcome:
        return run_ephemeral(
            graph, script, paced=args.paced, start=start, heard=heard, at_end=at_end
        )

    def close(outcome: Outcome) -> Closing:
        return _close(outcome, waited=any(isinstance(step, Until | UntilScreen) for step in steps))

    if not args.cached:
        return close(run(heard))
    from manager.cli import known_runs

    key = known_runs.key_of(graph, script, start.id if start is not None else b"")
    printer = GuestOutput(raw=args.raw)

    def again(known: bytes) -> None:
        heard(known)
        printer.write(known)
        printer.close()

    return known_runs.carry_out(key, args.audit, heard, again, run, close)


def _close(outcome: Outcome, *, waited: bool) -> Closing:
    """Say how it ended."""
    status, message = _judge(outcome, waited)
    lost = [f"output is lost: {place}" for place in outcome.lost]
    closing = [outcome.closing(message), *outcome.story] if message else []
    for line in closing + lost:
        print(f"vmmgr: {line}", file=loud(sys.stderr) if status or lost else sys.stderr)
    if lost and status not in _TELLS_ALREADY:
        status = ExitCode.FAILURE
    return Closing(status, closing + lost)


def _judge(outcome: Outcome, waited: bool) -> tuple[int, str]:
    """The exit code, and what to say."""
    if outcome.kind == "verdict":
        return outcome.status, {
            "matched": "",
            "failed": f"--fail-on matched: {outcome.detail}",
            "patience": f"the time budget is used up; {outcome.detail}",
            "budget": f"the time budget is used up; {outcome.detail}".rstrip("; "),
        }[outcome.reason]
    if outcome.kind == "down":
        return ExitCode.INTERRUPTED, "stopped before its end"
    if outcome.kind == "ended" and waited and outcome.reason != "debug-exit":
        return ExitCode.FAILURE, f"{outcome.detail} before the last --until matched"
    return outcome.status, outcome.detail
