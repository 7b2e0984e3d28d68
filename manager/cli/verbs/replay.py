# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr replay`: run a recorded machine again, and see whether it is the same."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.cli.arguments import duration
from manager.cli.output import print_json
from manager.errors import ExitCode
from manager.text.shown import loud

if TYPE_CHECKING:
    from manager.machine.machine import Machine
    from manager.network.pcap import Capture
    from manager.replay.checks import Divergence
    from manager.replay.recordings import Story
    from manager.replay.replay import Replay


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "replay",
        description="Runs a machine again with the input that was recorded, as fast as it goes, "
        "and prints what its console sends. Of a lab all machines are run again: each gets what "
        "came from outside of the lab, and what they send each other is compared. The exit code is "
        "0 when everything was as it was recorded; else it is 1, and the first difference is told.",
    )
    parser.add_argument("name", metavar="NAME|LOG", help="a machine, a lab, or a .vmlog file")
    parser.add_argument(
        "--until",
        metavar="TIME",
        type=duration,
        help="virtual time to stop at, before the recorded end",
    )
    parser.add_argument(
        "--from",
        dest="start",
        metavar="SNAPSHOT",
        help="begin there: a tag of NAME, or a directory",
    )
    parser.add_argument(
        "--port",
        metavar="P",
        help="com1..com4 or a device id [the console]; of a lab MACHINE or MACHINE.PORT [all "
        "consoles, a line at a time]",
    )
    parser.add_argument(
        "--capture",
        metavar="[CARD=]FILE",
        help="write the frames of a network card, or of a lab's link, in pcap's format: the same "
        "bytes as `capture` did for that run",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of the output")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.arguments import find
    from manager.cli.proofs import port_of, story_of
    from manager.replay.checks import seconds
    from manager.replay.replay import Replay, graph_of

    if not args.name.endswith(".vmlog") and (situation := find(args.name)).paths.is_lab:
        from manager.cli import lab_replay

        return lab_replay.replay(args, situation)
    told = story_of(args.name)
    console = port_of(graph_of(told.header), args.port)

    def hear(port: str, data: bytes) -> None:
        if port == console and not args.json:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def begin() -> Machine:
        return _machine(args, told)

    began = time.monotonic()
    machine = begin()
    capture = _capture(args.capture, machine) if args.capture is not None else None
    start = machine.now()
    replay = Replay(
        machine, told.header.records, told.entries, begun_at=told.header.start.at, output=hear
    )
    divergence = replay.run(args.until)
    if capture is not None:
        _close(capture)
    took = time.monotonic() - began
    lines = [] if divergence is None else [*divergence.lines(), *_refined(begin(), told, replay)]
    if args.json:
        print_json(_as_json(replay, divergence, lines, start, took))
    else:
        passed = f"from {seconds(start)} to {seconds(machine.now())} in {took:.2f} s"
        verdict = "the same" if divergence is None else "not the same"
        text = "\n".join([f"{verdict}: {passed}, {replay.checked} checks held", *lines])
        print(f"vmmgr: {text}", file=loud(sys.stderr) if divergence else sys.stderr)
        if told.torn:
            print("vmmgr: the last entry of the log is incomplete", file=sys.stderr)
    return ExitCode.OK if divergence is None else ExitCode.FAILURE


def _machine(args: argparse.Namespace, told: Story) -> Machine:
    from manager.replay.replay import graph_of, machine_at_start, restored
    from manager.snapshot.read import open_snapshot

    if args.start is None:
        return machine_at_start(told.header)
    path = Path(args.start)
    if "/" not in args.start and not path.is_dir():
        from manager.cli.proofs import situation_of
        from manager.errors import UsageError
        from manager.snapshot.store import Store

        tagged = Store(situation_of(args.name).paths.snapshots).path(args.start)
        if tagged is None:
            raise UsageError(f"there is no snapshot {args.start!r} of {args.name}")
        path = tagged
    return restored(graph_of(told.header), open_snapshot(path))


def _capture(wanted: str, machine: Machine) -> Capture:
    """A capture of the card that is named, or of the only one. Raises UsageError, HostError."""
    from manager.errors import UsageError
    from manager.network.pcap import Capture

    cards = {id.partition(".")[2]: port for id, port in machine.network_ports.items()}
    name, has_name, file = wanted.rpartition("=")
    name = name.removeprefix("slots.") if has_name else next(iter(cards), "")
    if name not in cards or (len(cards) > 1 and not has_name):
        known = ", ".join(f"slots.{name}" for name in cards) or "none"
        raise UsageError(
            f"--capture {wanted}: which network card is that?", help=f"the machine has: {known}"
        )
    capture = Capture(Path(file), machine.graph.epoch, anew=True)
    cards[name].tap(lambda frame: capture.add(machine.now(), frame))
    return capture


def _close(capture: Capture) -> None:
    from manager.errors import HostError

    capture.close()
    if capture.fault:
        raise HostError(f"{capture.path}: frames are missing: {capture.fault}")


def _refined(machine: Machine, told: Story, first: Replay) -> list[str]:
    """Replay once more up to the difference: do two replays agree?"""
    from manager.replay import compare
    from manager.replay.replay import Replay

    if not first.found:
        return []
    assert first.divergence is not None
    second = Replay(machine, told.header.records, told.entries, begun_at=told.header.start.at)
    second.run(first.divergence.at + 1)
    if not second.found:
        return ["  a second replay did not differ there: something on this host decides"]
    found = compare.records(first.found, second.found)
    if not found:
        return [
            "  two replays agree with each other: the recorded run had something that they lack"
        ]
    return [
        "  two replays differ from each other, so something on this host decides:",
        *(f"    {line}" for line in compare.listed(found)),
    ]


def _as_json(
    replay: Replay, divergence: Divergence | None, lines: list[str], start: int, took: float
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "same": divergence is None,
        "from": start,
        "virtual_time": replay.machine.now(),
        "seconds": round(took, 3),
        "checks": replay.checked,
    }
    if divergence is not None:
        result["divergence"] = {
            "at": divergence.at,
            "after": divergence.after,
            "ports": list(divergence.ports),
            "states": list(divergence.states),
            "detail": lines,
        }
    return result
