# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr pull`: fetch a snapshot from a store."""

from __future__ import annotations

import argparse

from manager.cli.stores import REMOTE, add_connections


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "pull",
        description="Fetches a snapshot that `push` sent: only what no machine here has, and what "
        "a pull that failed has brought is not fetched again. Every byte is compared with its "
        "hash before the snapshot gets its place.",
    )
    parser.add_argument("remote", metavar="REMOTE", help=REMOTE)
    parser.add_argument(
        "name", nargs="?", metavar="NAME[:TAG]", help="which one; may be left out if it is alone"
    )
    parser.add_argument(
        "--as", dest="to", metavar="NAME[:TAG]", help="call it so here [as it is in the store]"
    )
    parser.add_argument(
        "--digest", metavar="SHA256", help="only if its manifest has this digest, as signed"
    )
    add_connections(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb. Raises VmmgrError."""
    from manager.cli.stores import pull

    return pull(args)
