# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr ls`: list the machines, or the snapshots in a store."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from manager.cli.output import print_json, span
from manager.text.columns import columns
from manager.text.shown import shown

if TYPE_CHECKING:
    from manager.state.situation import Situation

_PATIENCE = 1.0
"""Seconds that a running machine gets to answer."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "ls",
        description="Lists every machine that has state or logs, what it is doing, and for how "
        "long. It is ready when what `[ready]` or --wait-for waits for has come. With REMOTE, "
        "lists the snapshots in that store.",
    )
    parser.add_argument("remote", nargs="?", metavar="REMOTE", help="a store, as `push` has it")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb. Raises VmmgrError."""
    if args.remote:
        from manager.cli.stores import list_remote

        return list_remote(args)
    from manager.state.situation import look_at_all

    machines = look_at_all()
    live = _ask(machines)
    if args.json:
        print_json({"machines": [_as_json(item, live.get(item.name, {})) for item in machines]})
        return 0
    rows: list[tuple[str, ...]] = [("NAME", "STATE", "READY", "UPTIME", "PID", "FILE")]
    rows += [_row(item, live.get(item.name, {})) for item in machines]
    print("\n".join(map(shown, columns(rows))))
    return 0


def _ask(machines: list[Situation]) -> dict[str, dict[str, Any]]:
    """What those say that run; one that does not answer at once is left out."""
    running = [item for item in machines if item.state == "running"]
    if not running:
        return {}
    from concurrent.futures import ThreadPoolExecutor

    from manager.cli.together import AT_A_TIME

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        answers = zip(running, pool.map(_ask_one, running), strict=True)
        return {item.name: answer for item, answer in answers if answer is not None}


def _ask_one(item: Situation) -> dict[str, Any] | None:
    from pathlib import Path

    from manager.client.client import Client
    from manager.errors import VmmgrError

    record = item.last_run
    if record is None or not record.alive():
        return None  # it is just starting
    try:
        with Client.connect(Path(record.socket), _PATIENCE) as client:
            return client.execute("query-status")
    except VmmgrError:
        return None


def _row(item: Situation, live: dict[str, Any]) -> tuple[str, ...]:
    record = item.last_run
    return (
        item.name,
        item.state,
        {True: "yes", False: "no", None: "-"}[_ready(live)],
        span(live["uptime"]) if live else "-",
        str(record.pid) if record is not None and item.state == "running" else "-",
        record.file if record is not None else "-",
    )


def _ready(live: dict[str, Any]) -> bool | None:
    """Whether it is ready; None where nothing says when it would be."""
    ready: bool | None = live.get("ready")
    return False if ready is None and live.get("waits-for") is not None else ready


def _as_json(item: Situation, live: dict[str, Any]) -> dict[str, Any]:
    record = item.last_run
    return {
        "name": item.name,
        "state": item.state,
        "ready": _ready(live),
        "uptime_s": live.get("uptime"),
        "note": item.note,
        "pid": record.pid if record is not None and item.state == "running" else None,
        "file": record.file if record is not None else None,
        "snapshot": str(item.saved.path) if item.saved is not None else None,
    }
