# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr status`: show what a machine is doing."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from manager import files
from manager.cli.output import print_json
from manager.errors import SnapshotCorruptError
from manager.text.columns import columns
from manager.text.shown import shown

if TYPE_CHECKING:
    from manager.snapshot.read import Snapshot
    from manager.state.situation import Situation

_LAST_LINES = 8
"""Lines that are shown of a crashed machine's log."""
_TAIL = 4096


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser("status")
    parser.add_argument("name", metavar="NAME", help="a machine, or its machine file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli import labs
    from manager.cli.arguments import find

    situation = find(args.name)
    if situation.paths.is_lab:
        return labs.show(situation, as_json=args.json)
    status = describe(situation)
    if args.json:
        print_json(status)
    else:
        print("\n".join(map(shown, _lines(status))))
    return 0


def describe(situation: Situation) -> dict[str, Any]:
    """All that is known of a machine; what does not apply is None."""
    from manager.cli.clients import ask
    from manager.cli.snapshot.words import cpus

    record = situation.last_run
    live = ask(situation) if situation.state == "running" else None
    saved = _saved(situation) if live is None else None
    saved_at = saved.header.virtual_time if saved is not None else None
    saved_cpus = cpus(saved) if saved is not None else []
    ports = [
        {"id": id, "backend": backend, "console": record is not None and id == record.console}
        for id, backend in (record.ports if record is not None else {}).items()
    ]
    return {
        "name": situation.name,
        "state": situation.state,
        "note": situation.note,
        "activity": live["state"] if live else None,
        "blocked_on": live["blocked-on"] if live else None,
        "pid": record.pid if record is not None and situation.state == "running" else None,
        "virtual_time_ns": live["virtual-time"] if live else saved_at,
        "resets": live["resets"] if live else None,
        "cpus": live.get("cpus", []) if live else saved_cpus,
        "uptime_s": live["uptime"] if live else None,
        "clock": live["clock"] if live else None,
        "file": record.file if record is not None else None,
        "damage": live.get("damage") if live else None,
        "ready": live["ready"] if live else None,
        "waits_for": live.get("waits-for") if live else None,
        "ports": live["ports"] if live else ports,
        "networks": live.get("networks", []) if live else [],
        "consoles": live["consoles"] if live else [],
        "failed_sinks": live.get("failed-sinks", []) if live else [],
        "sandbox": live.get("sandbox", []) if live else [],
        "identity": record.identity if record is not None else None,
        "config": record.config if record is not None else None,
        "snapshot": str(situation.saved.path) if situation.saved is not None else None,
        "snapshot_at": situation.saved.at if situation.saved is not None else None,
        "story": record.story if record is not None and situation.state == "crashed" else [],
        "last_words": _last_words(situation) if situation.state == "crashed" else [],
    }


def _last_words(situation: Situation) -> list[str]:
    """The last lines of a crashed machine's console, and what its process said."""
    from manager.state.port_log import tail
    from manager.text.console_text import ConsoleText

    text = ConsoleText()
    record = situation.last_run
    if record is not None and record.console is not None:
        text.add(tail(situation.paths.port_log(record.console), _TAIL))
    lines = text.last_lines(_LAST_LINES).split("\n") if text.text else []
    try:
        data = files.tail(situation.paths.owner_log, _TAIL)
        said = data.decode(errors="replace").rstrip().split("\n")
    except OSError:
        said = []
    return lines + [f"vmmgr: {line}" for line in said[-_LAST_LINES:] if line]


def _saved(situation: Situation) -> Snapshot | None:
    """The suspended state, if there is one that can be read."""
    from manager.state.saved import open_saved

    try:
        return open_saved(situation.paths) if situation.saved is not None else None
    except SnapshotCorruptError:
        return None


def _lines(status: dict[str, Any]) -> list[str]:
    from manager.machine.places import rows as rows_of_cpus

    state = status["state"]
    if status["activity"] not in (None, "running"):
        state = f"{status['activity']}" + (
            f" on {status['blocked_on']}" if status["blocked_on"] else ""
        )
    if status["note"]:
        state += f"; {status['note']}"
    rows = [
        ("name", status["name"]),
        ("state", state),
        ("damage", status["damage"]),
        ("ready", _ready(status)),
        ("pid", status["pid"]),
        ("virtual time", _seconds(status["virtual_time_ns"], 1e9)),
        ("resets", status["resets"] or None),
        *rows_of_cpus(status["cpus"]),
        ("uptime", _seconds(status["uptime_s"], 1)),
        ("clock", status["clock"]),
        ("file", status["file"]),
        *_ports(status["ports"], status["pid"] is not None),
        *((card["id"], _network_card(card)) for card in status["networks"]),
        *(("attached", _console(console)) for console in status["consoles"]),
        *(("lost", _failed(sink)) for sink in status["failed_sinks"]),
        ("sandbox", _sandbox(status["sandbox"])),
        ("identity", status["identity"]),
        ("config", status["config"]),
        ("snapshot", status["snapshot"]),
        ("saved", _date(status["snapshot_at"])),
    ]
    known = [(key, str(value)) for key, value in rows if value is not None]
    words = [f"  | {line}" for line in status["last_words"]]
    lines = [*columns(known)] + (["last lines:", *words] if words else [])
    story = [f"  {line}" for line in status["story"]]
    return lines + (["what led to the fault:", *story] if story else [])


def _ready(status: dict[str, Any]) -> str | None:
    if status["waits_for"] is not None:
        return f"not yet, waits for {status['waits_for']!r}"
    return {True: "yes", False: "no", None: None}[status["ready"]]


def _ports(ports: list[dict[str, Any]], running: bool) -> list[tuple[str, str]]:
    """What is behind each port now; of a machine that does not run, the names for `logs`."""
    if running:
        return [(port["id"], _port(port)) for port in ports]
    return [("ports", ", ".join(port["id"] for port in ports))] if ports else []


def _port(port: dict[str, Any]) -> str:
    parts = [port["backend"]]
    if port["console"]:
        parts.append("console")
    if port.get("log-fault"):
        parts.append(f"{port['log-lost']} bytes not logged: {port['log-fault']}")
    if port.get("dropped"):
        parts.append(f"{port['dropped']} bytes dropped")
    if port.get("advice"):
        parts.append(port["advice"])
    return ", ".join(parts)


def _network_card(card: dict[str, Any]) -> str:
    """What a card is plugged into, and how many frames went through."""
    parts = [f"network {card['network']}" if card["network"] else "no network", card["peer"]]
    parts.append(f"{card['sent']} frames sent, {card['received']} received")
    if card["dropped"]:
        parts.append(f"{card['dropped']} dropped")
    if card["capture-fault"]:
        parts.append(f"frames not captured: {card['capture-fault']}")
    return ", ".join(part for part in (*parts, card["note"]) if part)


def _failed(sink: dict[str, Any]) -> str:
    return f"output of {sink['where']}: {sink['reason']}"


def _sandbox(layers: list[dict[str, Any]]) -> str | None:
    from manager.sandbox import layers as sandbox

    return ", ".join(sandbox.shown(sandbox.Layer(**layer) for layer in layers)) or None


def _console(console: dict[str, Any]) -> str:
    does = "types" if console["writes"] else "reads"
    missed = f", missed {console['dropped']} bytes" if console["dropped"] else ""
    return f"process {console['pid']} {does} at {console['port']}{missed}"


def _seconds(amount: float | None, unit: float) -> str | None:
    return None if amount is None else f"{amount / unit:.3f} s"


def _date(at: float | None) -> str | None:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) if at else None
