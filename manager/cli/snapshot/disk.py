# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr snapshot disk`: a disk as it was at a snapshot, as an image of its own."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing

from manager.cli.output import print_json, size
from manager.text.shown import shown


def disk(args: argparse.Namespace) -> int:
    """Carry out `snapshot disk`. Raises VmmgrError."""
    from manager.cli.graphs import of_snapshot
    from manager.cli.snapshot.refs import find_snapshot
    from manager.machine.disks import disk_of
    from manager.snapshot.read import open_snapshot
    from manager.storage.export import export, refuse_existing

    refuse_existing(args.output)
    opened = open_snapshot(find_snapshot(args.path))
    with closing(disk_of(of_snapshot(opened), opened, args.disk)) as found:
        export(found, args.output)
    if args.json:
        print_json({"snapshot": args.path, "disk": args.disk, "file": str(args.output)})
    else:
        status = args.output.stat()
        taken = size(status.st_blocks * 512)
        text = f"{args.output}: {size(status.st_size)}, {taken} on disk"
        print(shown(text), file=sys.stderr)
    return 0


VERBS = {"disk": disk}
