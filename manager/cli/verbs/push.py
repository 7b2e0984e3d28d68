# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr push`: send a snapshot to a store that others read."""

from __future__ import annotations

import argparse

from manager.cli.stores import REMOTE, add_connections


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "push",
        description="Sends the suspended state of a machine, or a snapshot of it, to a store: in "
        "chunks, and only those that the store does not have. What was sent by a push that failed "
        "is not sent again. Prints the digest of the manifest, which is what to sign. What a "
        "guest has in memory, secrets included, is in it; the images of its disks are not.",
    )
    parser.add_argument("name", metavar="NAME[:TAG]", help="default TAG: the suspended state")
    parser.add_argument("remote", metavar="REMOTE", help=REMOTE)
    parser.add_argument(
        "--as", dest="to", metavar="NAME[:TAG]", help="call it so in the store [as it is here]"
    )
    add_connections(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb. Raises VmmgrError."""
    from manager.cli.stores import push

    return push(args)
