# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr up`: boot a machine, or resume it when it is suspended."""

from __future__ import annotations

import argparse
from pathlib import Path

from manager.cli.launching import Wish, add_options, bring_up, check, refuse_doubles
from manager.cli.watch import options


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "up",
        description="Boots the machine that FILE declares, or resumes it when it is suspended; "
        "a machine that runs already is left alone, and waited for or attached to as asked. A "
        "known machine may be given by its NAME; without either, the one machine file in the "
        "folder is meant. On a terminal you get its console; Ctrl-] leaves it running in the "
        "background, Enter ~? lists more keys.",
    )
    parser.add_argument(
        "files", metavar="FILE|NAME", nargs="*", help="a machine file, or a machine that ran before"
    )
    parser.add_argument(
        "--fresh", action="store_true", help="drop a suspended state and boot afresh"
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask before dropping it")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    options.add_options(parser)
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.joining import refuse_fresh, say_running
    from manager.cli.lab_files import is_lab
    from manager.cli.labs import up as up_lab
    from manager.cli.targets import Target, machine_file_here, named

    targets = [named(name, args.settings) for name in args.files]
    if not targets:
        targets = [Target(machine_file_here(Path()), args.settings)]
    if labs := [target for target in targets if is_lab(target.file)]:
        return up_lab(args, labs[0], alone=len(targets) == 1)
    check(args, len(targets))
    options.check(args, len(targets))
    if args.watch:
        from manager.cli.watch.mode import watched

        return watched(args, targets[0])
    wishes = [Wish.of(target, remember=not args.dry_run) for target in targets]
    refuse_doubles([wish.graph for wish in wishes])
    for wish in wishes:
        if wish.runs and args.fresh:
            raise refuse_fresh(wish.graph)
    if not args.dry_run:
        return bring_up(args, wishes, fresh=args.fresh)
    for wish in wishes:
        if wish.runs:
            say_running(wish.graph)
        else:
            _announce(wish, args.fresh)
    return 0


def _announce(wish: Wish, fresh: bool) -> None:
    """Say what would be done."""
    graph, saved = wish.graph, wish.situation.saved
    if saved is not None and not fresh:
        print(f"would resume {graph.name} from {saved.path}")
        return
    if saved is not None:
        print(f"would drop the suspended state {saved.path}")
    print(f"would boot {graph.name} with {graph.memory_size >> 20} MiB of RAM")
    for end in graph.serial_ports():
        print(f"  {end.id}: {end.backend.type}")
