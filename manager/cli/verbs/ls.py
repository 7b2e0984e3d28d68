# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr ls`: list the machines."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from manager.cli.output import print_json
from manager.text.columns import columns
from manager.text.shown import shown

if TYPE_CHECKING:
    from manager.state.situation import Situation


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "ls",
        description="Lists every machine that has state or logs, and what it is doing.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.state.situation import look_at_all

    machines = look_at_all()
    if args.json:
        print_json({"machines": [_as_json(item) for item in machines]})
        return 0
    rows = [("NAME", "STATE", "PID", "FILE")]
    for item in machines:
        record = item.last_run
        pid = str(record.pid) if record is not None and item.state == "running" else "-"
        rows.append((item.name, item.state, pid, record.file if record is not None else "-"))
    print("\n".join(map(shown, columns(rows))))
    return 0


def _as_json(item: Situation) -> dict[str, Any]:
    record = item.last_run
    return {
        "name": item.name,
        "state": item.state,
        "note": item.note,
        "pid": record.pid if record is not None and item.state == "running" else None,
        "file": record.file if record is not None else None,
        "snapshot": str(item.saved.path) if item.saved is not None else None,
    }
