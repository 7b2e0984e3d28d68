# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr cache`: the machines that are kept as they were when they got ready."""

from __future__ import annotations

import argparse
from datetime import datetime

from manager.cli.output import print_json
from manager.text.columns import columns


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "cache",
        description="With `cache = true` in `[ready]`, the first `up` keeps the machine as it is "
        "when it is ready, and the next one goes on from there. $VMMGR_CACHE_SIZE is how many MiB "
        "they may take [4096]; what was not used for longest goes first.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("ls", help="list them, the last used first")
    listing.add_argument("--json", action="store_true", help="print JSON")
    clear = verbs.add_parser("clear", help="drop them all")
    for verb in (listing, clear):
        verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.config.units import MIB
    from manager.replay.checks import seconds
    from manager.state.warm_starts import WarmStarts, warm_starts_directory

    cache = WarmStarts(warm_starts_directory())
    if args.verb == "clear":
        count = cache.clear()
        print(f"{count} machine{'' if count == 1 else 's'} dropped")
        return 0
    entries = cache.entries()
    if args.json:
        plain = [
            {
                "key": entry.key,
                "machine": entry.machine,
                "virtual_time": entry.virtual_time,
                "size": entry.size,
                "used_at": entry.used_at,
            }
            for entry in entries
        ]
        print_json({"entries": plain})
        return 0
    rows = [
        (
            entry.machine,
            f"ready at {seconds(entry.virtual_time)}",
            f"{entry.size / MIB:7.1f} MiB",
            datetime.fromtimestamp(entry.used_at).astimezone().strftime("used %Y-%m-%d %H:%M"),
            entry.key[:12],
        )
        for entry in entries
    ]
    for line in columns(rows):
        print(line)
    return 0
