# SPDX-License-Identifier: BSD-2-Clause
"""`up --watch`: one machine, its console, and a boot after each change."""

from __future__ import annotations

import argparse
import selectors
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from manager.cli.colour import has_colour
from manager.cli.launching import Wish, be_with
from manager.cli.watch.file_watch import FileWatch
from manager.cli.watch.rebuild import Rebuild
from manager.cli.watch.watch import Watch, watch_files
from manager.errors import VmmgrError, WrongStateError
from manager.text.shown import loud

if TYPE_CHECKING:
    from manager.cli.targets import Target
    from manager.client.left import Left


def watched(args: argparse.Namespace, target: Target) -> int:
    """Be with a machine through all its boots; returns the exit code of how the user left it."""
    with closing(FileWatch()) as files:
        rebuild = _first_build(args, target, files) if args.rebuild is not None else None
        wish = Wish.of(target)
        _refuse_suspended(wish, args.fresh)
        if not wish.runs:
            target.require_boot_files(wish.graph)
        watch = _watch(target, files, rebuild, wish)
        left: Left | None = be_with(args, wish, watch, fresh=args.fresh)
        while left is None or left.kind in ("ended", "crashed", "changed"):
            if left is None or left.kind != "changed":
                _await_change(watch)
            _power_off(wish)
            wish = Wish.of(target)
            watch = _watch(target, files, rebuild, wish)
            left = _again(args, wish, watch)
        return left.status


def _watch(target: Target, files: FileWatch, rebuild: Rebuild | None, wish: Wish) -> Watch:
    watch_files(files, target, wish.graph)
    return Watch(target, files, rebuild, wish.graph)


def _first_build(args: argparse.Namespace, target: Target, files: FileWatch) -> Rebuild:
    """Watch the sources, and make what the machine boots from. Raises HostError."""
    folders = args.sources or [target.file.parent]
    rebuild = Rebuild(args.rebuild, [folder.absolute() for folder in folders])
    for folder in rebuild.sources:
        files.tree(folder)
    rebuild.first(files.changed)
    return rebuild


def _again(args: argparse.Namespace, wish: Wish, watch: Watch) -> Left | None:
    """Another boot; None when it did not come to that, which is told."""
    try:
        return be_with(args, wish, watch)
    except VmmgrError as error:
        print(error.report(colour=has_colour(sys.stderr)), file=loud(sys.stderr))
        return None


def _refuse_suspended(wish: Wish, fresh: bool) -> None:
    name, situation = wish.graph.name, wish.situation
    if not wish.runs and situation.saved is not None and not fresh:
        raise WrongStateError(
            f"{name} has a suspended state, and --watch boots it afresh at every change",
            help="--fresh drops the state",
        )


def _power_off(wish: Wish) -> None:
    from manager.cli.verbs.down import power_off
    from manager.state.situation import look

    situation = look(wish.situation.paths)
    if situation.state == "running":
        power_off(situation)


def _await_change(watch: Watch) -> None:
    """Wait until the machine would boot as another one."""
    _say("waiting for a change; Ctrl-C ends")
    with selectors.PollSelector() as selector:
        watch.begin(selector, _say)
        try:
            while not watch.look():
                for key, events in selector.select(watch.wait()):
                    key.data(events)
        finally:
            watch.end()


def _say(text: str) -> None:
    for line in text.split("\n"):
        print(f"vmmgr: {line}", file=sys.stderr, flush=True)
