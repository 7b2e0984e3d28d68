# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr up`: boot a machine, or resume it when it is suspended."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from manager.cli.arguments import (
    add_escape,
    add_on_term,
    add_settings,
    duration,
    load,
    on_a_terminal,
    pattern,
)
from manager.cli.guest_output import add_raw
from manager.errors import UsageError, VmmgrError, WrongStateError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from manager.graph.nodes import Graph
    from manager.state.situation import Situation
    from manager.vmm.launch import Launch, Readiness

_PATIENCE = 5.0
"""Seconds that a running machine gets to answer."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "up",
        description="Boots the machine that FILE declares, or resumes it when it is suspended; "
        "a machine that runs already is left alone. On a terminal you get its console; Ctrl-] "
        "leaves it running in the background, Enter ~? lists more keys.",
    )
    parser.add_argument("files", metavar="FILE", type=Path, nargs="+")
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
        "--fresh", action="store_true", help="drop a suspended state and boot afresh"
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask before dropping it")
    parser.add_argument(
        "--no-cache",
        action="store_true",
        help="boot, even if the machine was kept when it was ready: `[ready] cache` in FILE",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument(
        "--json", action="store_true", help="with -d: print what happens as lines of JSON"
    )
    add_raw(parser)
    add_on_term(parser)
    add_escape(parser)
    add_settings(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.audience import in_background, in_foreground, on_terminal
    from manager.cli.starts import start_of
    from manager.state.paths import MachinePaths

    if len(args.files) > 1 and not args.detach and not args.dry_run:
        raise UsageError("several machines need -d", help="one terminal is one machine's console")
    if args.json and not args.detach:
        raise UsageError("--json needs -d", help="otherwise the output is the machine's console")
    graphs = [load(file, args.settings, remember=not args.dry_run) for file in args.files]
    _refuse_doubles(graphs)
    launches = [
        launch
        for file, graph in zip(args.files, graphs, strict=True)
        if (launch := _launch(args, file, graph)) is not None
    ]
    if args.dry_run or not launches:
        return 0
    if not args.detach and not on_a_terminal(launches[0]):
        return in_foreground(launches[0])
    starts = [
        start_of(launch, MachinePaths.of(launch.graph.name), "is up", attended=not args.detach)
        for launch in launches
    ]
    if not args.detach:
        return on_terminal(starts[0], args.escape)
    return in_background(starts, as_json=args.json)


def _launch(args: argparse.Namespace, file: Path, graph: Graph) -> Launch | None:
    """How to bring a machine up, or None when there is nothing to do."""
    from manager.cli.questions import confirm
    from manager.graph.boot_files import boot_files
    from manager.state.paths import MachinePaths
    from manager.state.situation import look
    from manager.vmm.launch import Launch

    situation = look(MachinePaths.of(graph.name))
    if situation.holds_something:
        situation.require_of(graph.source)
    if situation.state == "running":
        _say_running(situation, graph, args.fresh)
        return None
    resume = situation.saved is not None and not args.fresh
    readiness = _readiness(args, graph, resume)
    if args.dry_run:
        _announce(graph, situation, resume)
        return None
    if not resume and not all(path.is_file() for path in boot_files(graph.boot).values()):
        load(file, args.settings, require_files=True)  # which says what is missing
    if situation.saved is not None and args.fresh and not args.yes:
        confirm(
            f"Drop the suspended state of {situation.name}?",
            loss=f"{situation.name} has a suspended state, which --fresh drops",
            option="-y",
        )
    if situation.state == "crashed":
        print(f"vmmgr: {graph.name} had crashed: {situation.note}", file=sys.stderr)
    if resume:
        print(f"vmmgr: resuming {graph.name}; `--fresh` would boot it afresh", file=sys.stderr)
    return Launch(
        graph,
        settings=args.settings,
        resume=resume,
        fresh=args.fresh,
        detached=args.detach,
        readiness=readiness,
        raw=args.raw,
        cache=not args.no_cache,
        on_term=args.on_term,
    )


def _refuse_doubles(graphs: Sequence[Graph]) -> None:
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


def _say_running(situation: Situation, graph: Graph, fresh: bool) -> None:
    record = situation.last_run
    text = f"{situation.name} is already running" + (f", pid {record.pid}" if record else "")
    if fresh:
        raise WrongStateError(text, help=f"power it off with `vmmgr down {situation.name}`")
    print(f"{text}; `vmmgr console {situation.name}` takes you to it", file=sys.stderr)
    _say_what_changed(situation, graph)


def _say_what_changed(situation: Situation, graph: Graph) -> None:
    """Warn when the machine file, or a kernel, has changed since the machine was booted."""
    from manager.cli.clients import connect
    from manager.cli.graphs import changed_since

    try:
        with connect(situation, timeout=_PATIENCE) as client:
            lines = changed_since(graph, client)
    except VmmgrError:
        return  # it is starting, ending or busy; that it runs is said
    if lines:
        print(
            f"{graph.source} has changed since {situation.name} was booted:",
            *lines,
            f"   = help: `vmmgr restart {situation.name}` boots it as the file is now",
            sep="\n",
            file=sys.stderr,
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


def _announce(graph: Graph, situation: Situation, resume: bool) -> None:
    if resume and situation.saved is not None:
        print(f"would resume {graph.name} from {situation.saved.path}")
        return
    if situation.saved is not None:
        print(f"would drop the suspended state {situation.saved.path}")
    print(f"would boot {graph.name} with {graph.memory_size >> 20} MiB of RAM")
    for node in graph.serial_ports():
        assert node.backend is not None
        print(f"  {node.id}: {node.backend.type}")
