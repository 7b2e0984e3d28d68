# SPDX-License-Identifier: BSD-2-Clause
"""From what the user asks of `up` and `restart` to machines that come up."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from manager.cli.arguments import (
    add_escape,
    add_on_term,
    add_settings,
    at_terminal,
    duration,
    pattern,
)
from manager.cli.guest_output import add_raw
from manager.cli.loudness import detail
from manager.errors import ExitCode, UsageError, WrongStateError
from manager.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from manager.cli.targets import Target
    from manager.client.beside import Beside
    from manager.client.left import Left
    from manager.graph.nodes import Graph
    from manager.state.situation import Situation
    from manager.vmm.launch import Launch, Readiness


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `up` and `restart` have in common."""
    parser.add_argument("-d", "--detach", action="store_true", help="run it in the background")
    parser.add_argument(
        "--wait-for",
        metavar="RE",
        type=pattern,
        help="it is ready once its output matches; when it boots with -d, `[ready]` of FILE is the "
        "default",
    )
    parser.add_argument(
        "--fail-on", metavar="RE", type=pattern, help="it has failed once its output matches"
    )
    parser.add_argument(
        "--timeout", metavar="DUR", type=duration, help="how long to wait, by the host's clock"
    )
    parser.add_argument(
        "--no-cache",
        action="store_true",
        help="boot, even if the machine was kept when it was ready: `[ready] cache` in FILE",
    )
    parser.add_argument(
        "--json", action="store_true", help="with -d: print what happens as lines of JSON"
    )
    add_raw(parser)
    add_on_term(parser)
    add_escape(parser)
    add_settings(parser)


@dataclass(frozen=True, slots=True)
class Wish:
    """A machine that is to be up."""

    target: Target
    graph: Graph
    situation: Situation

    @classmethod
    def of(cls, target: Target, *, remember: bool = True) -> Wish:
        """Read a machine file and look what its machine does.

        Raises UsageError, and WrongStateError when its name is another file's.
        """
        from manager.state.paths import MachinePaths
        from manager.state.situation import look

        graph = target.graph(remember=remember)
        situation = look(MachinePaths.of(graph.name))
        if situation.holds_something:
            situation.require_of(graph.source)
        return cls(target, graph, situation)

    @property
    def runs(self) -> bool:
        """Whether there is nothing to start."""
        return self.situation.state == "running"

    def resumes(self, fresh: bool) -> bool:
        """Whether it goes on from a suspended state."""
        return self.situation.saved is not None and not fresh


def check(args: argparse.Namespace, count: int) -> None:
    """Raise UsageError for options that do not go together."""
    if count > 1 and not args.detach:
        raise UsageError("several machines need -d", help="one terminal is one machine's console")
    if args.json and not args.detach:
        raise UsageError("--json needs -d", help="otherwise the output is the machine's console")


def refuse_doubles(graphs: Sequence[Graph]) -> None:
    """Raise UsageError when two machine files are of one name."""
    by_name: dict[str, Graph] = {}
    for graph in graphs:
        if graph.name in by_name:
            if graph.source == by_name[graph.name].source:
                raise UsageError(f"{graph.source} is given twice")
            raise UsageError(
                f"{graph.source} and {by_name[graph.name].source} are both named {graph.name!r}",
                help="give each machine file its own `name`",
            )
        by_name[graph.name] = graph


def bring_up(args: argparse.Namespace, wishes: Sequence[Wish], *, fresh: bool = False) -> int:
    """Start what does not run, and be with all of it as asked; returns the exit code.

    With `fresh`, a suspended state is dropped: `args.yes` says that this is meant.
    """
    from manager.cli.audience import in_background, in_foreground, on_terminal
    from manager.cli.joining import be_console, join, runs, say_running
    from manager.cli.starts import start_of

    waits = [_readiness(args, wish.graph, wish.resumes(fresh)) for wish in wishes]
    launches = [
        _launch(args, wish, wanted, fresh)
        for wish, wanted in zip(wishes, waits, strict=True)
        if not wish.runs
    ]
    if not args.detach and not launches and at_terminal(wishes[0].graph):
        say_running(wishes[0].graph)
        return be_console(wishes[0].graph.name, args.escape).status
    if not args.detach and launches and not at_terminal(launches[0].graph):
        try:
            return in_foreground(launches[0])
        except WrongStateError:
            if not runs(launches[0].graph):
                raise
            say_running(launches[0].graph)  # another command was faster
            return ExitCode.OK
    starts = [start_of(launch, "is up", attended=not args.detach) for launch in launches]
    if not args.detach and starts:
        return on_terminal(starts[0], args.escape).status
    status = in_background(starts, as_json=args.json)
    for wish, wanted in zip(wishes, waits, strict=True):
        if wish.runs:
            joined = join(wish.graph, wanted, raw=args.raw, as_json=args.json)
            status = status or joined
    return status


def be_with(args: argparse.Namespace, wish: Wish, beside: Beside, *, fresh: bool = False) -> Left:
    """Start a machine that does not run, and be its console with something beside it."""
    from manager.cli.audience import on_terminal
    from manager.cli.joining import be_console, say_running
    from manager.cli.starts import start_of

    if wish.runs:
        say_running(wish.graph)
        return be_console(wish.graph.name, args.escape, beside=beside)
    wanted = _readiness(args, wish.graph, wish.resumes(fresh))
    launch = _launch(args, wish, wanted, fresh)
    return on_terminal(start_of(launch, "is up", attended=True), args.escape, beside)


def foretell(args: argparse.Namespace, situation: Situation, *, resume: bool, fresh: bool) -> None:
    """Say what the user should know before a machine or a lab comes up; ask unless `--yes`.

    Raises UsageError when the user does not want a suspended state to be dropped.
    """
    from manager.cli.questions import confirm

    if situation.saved is not None and fresh and not args.yes:
        confirm(
            f"Drop the suspended state of {situation.name}?",
            loss=f"{situation.name} has a suspended state, which --fresh drops",
            option="-y",
        )
    if situation.state == "crashed":
        print(f"vmmgr: {situation.name} had crashed: {situation.note}", file=sys.stderr)
    if resume:
        print(f"vmmgr: resuming {situation.name}; `--fresh` would boot it afresh", file=sys.stderr)


def _launch(args: argparse.Namespace, wish: Wish, wanted: Readiness | None, fresh: bool) -> Launch:
    """How to bring a machine up; says what the user should know of it first."""
    from manager.vmm.launch import Launch

    situation, graph = wish.situation, wish.graph
    resume = wish.resumes(fresh)
    detail(f"the state of {graph.name} is in {situation.paths.directory}")
    if not resume:
        wish.target.require_boot_files(graph)
    foretell(args, situation, resume=resume, fresh=fresh)
    return Launch(
        graph,
        settings=wish.target.settings,
        resume=resume,
        fresh=fresh,
        detached=args.detach,
        readiness=wanted,
        raw=args.raw,
        cache=not args.no_cache,
        on_term=args.on_term,
    )


def _readiness(args: argparse.Namespace, graph: Graph, resume: bool) -> Readiness | None:
    """What to wait for, if anything.

    A resumed machine does not print again what a booting one does, so there `[ready]` is no
    default.
    """
    from manager.text.pattern import compile_pattern
    from manager.vmm.launch import Readiness

    wanted = args.wait_for or (args.detach and not resume)
    declared = graph.ready if wanted else None
    wait_for = args.wait_for
    if wait_for is None:
        if declared is None:
            if args.fail_on or args.timeout is not None:
                raise UsageError(
                    "--fail-on and --timeout need --wait-for, or `[ready]` and -d at a boot"
                )
            return None
        wait_for = compile_pattern(declared.wait_for)
    fail_on = args.fail_on
    if fail_on is None and declared is not None and declared.fail_on is not None:
        fail_on = compile_pattern(declared.fail_on)
    timeout = args.timeout
    if timeout is None and declared is not None:
        timeout = declared.timeout_ns
    return Readiness(
        wait_for,
        fail_on,
        None if timeout is None else timeout / 1e9,
        declared.port if declared is not None else None,
    )
