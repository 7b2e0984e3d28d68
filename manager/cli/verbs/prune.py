# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr prune`: remove what is not needed: machines with logs alone, frozen folders, chunks."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from manager.cli.arguments import duration
from manager.cli.output import print_json, size
from manager.errors import UsageError
from manager.text.shown import shown

if TYPE_CHECKING:
    from manager.state.situation import Situation

_GRACE = 24 * 3600 * 10**9
"""ns."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "prune",
        description="Removes machines that are stopped and hold nothing but logs and recordings. "
        "Those that run, are suspended, crashed, have snapshots or wrote to disks stay: `rm` "
        "removes them. Folders that were frozen for shares go when no state of a machine lies on "
        "them and no run has them open. Says what it would remove, and asks. With "
        "REMOTE, removes the chunks in that store which no snapshot there needs.",
    )
    parser.add_argument("remote", nargs="?", metavar="REMOTE", help="a store, as `push` has it")
    parser.add_argument(
        "--drop",
        action="append",
        default=[],
        metavar="NAME[:TAG]",
        help="with REMOTE: drop this snapshot first; may be given again",
    )
    parser.add_argument(
        "--older-than",
        metavar="DUR",
        type=duration,
        default=_GRACE,
        help="with REMOTE: leave chunks that are not so old, which a push may have sent that was "
        "cut short [24h]",
    )
    parser.add_argument("-f", "--force", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb. Raises VmmgrError."""
    if args.remote:
        from manager.cli.stores import prune_remote

        return prune_remote(args)
    if args.drop:
        raise UsageError("--drop goes with REMOTE", help="`vmmgr rm NAME` removes a machine here")
    import shutil

    from manager.cli.questions import confirm
    from manager.state.frozen import remove_folder, unused_folders
    from manager.state.removal import disk_usage, half_removed, remove, unused

    machines, leftovers = unused(), half_removed()
    folders = unused_folders(machines)
    sizes = {item.name: disk_usage(item.paths.directory) for item in machines}
    total = sum(sizes.values()) + sum(map(disk_usage, leftovers)) + sum(folders.values())
    if not args.json:
        _list(machines, sizes)
        if folders:
            print(f"{_count(len(folders), 'frozen folder')}  {size(sum(folders.values()))}")
    if (machines or leftovers or folders) and not args.dry_run:
        what = f"{_count(len(machines), 'machine')}, {size(total)}"
        if folders:
            what = f"{_count(len(folders), 'frozen folder')}, {what}"
        if not args.force:
            confirm(f"Remove {what}?", loss=f"this would remove {what}", option="--force")
        for item in machines:
            remove(item.paths, only_unused=True)
        for path in leftovers:
            shutil.rmtree(path, ignore_errors=True)
        for path in folders:
            remove_folder(path)
        print(f"{what} removed", file=sys.stderr)
    elif not args.json and not machines and not folders:
        print("nothing to remove", file=sys.stderr)
    if args.json:
        print_json(
            {
                "machines": list(sizes),
                "folders": len(folders),
                "size": total,
                "removed": not args.dry_run,
            }
        )
    return 0


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _list(machines: list[Situation], sizes: dict[str, int]) -> None:
    from manager.text.columns import columns

    rows = [
        (item.name, size(sizes[item.name]), item.last_run.file if item.last_run else "never ran")
        for item in machines
    ]
    if rows:
        print("\n".join(map(shown, columns(rows))), flush=True)
