# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr replay LAB`: all machines of a lab are run again as one."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.cli.clients import ask
from manager.cli.lab_files import load
from manager.cli.labelled import Labelled
from manager.cli.output import print_json
from manager.cli.proofs import port_of
from manager.errors import ExitCode, HostError, SnapshotMismatchError, UsageError
from manager.graph.identity import lab_identity_hash
from manager.network.pcap import Capture
from manager.replay import compare
from manager.replay.checks import seconds
from manager.replay.lab_recordings import LabStory, lab_story
from manager.replay.lab_replay import LabDivergence, LabReplay, wires_at
from manager.replay.replay import graph_of, machine_at_start, restored
from manager.state.lab import lab_store
from manager.text.shown import loud

if TYPE_CHECKING:
    import argparse

    from manager.graph.lab import Lab
    from manager.lab.saved import LabSnapshot
    from manager.lab.wires import Wires
    from manager.machine.machine import Machine
    from manager.replay.lab_replay import Heard
    from manager.state.situation import Situation


def replay(args: argparse.Namespace, situation: Situation) -> int:
    """Carry out the verb for a lab; returns the exit code."""
    lab = _lab(situation)
    status = (ask(situation) if situation.state == "running" else None) or {}
    told = lab_story(
        {name: situation.paths.member(name).recordings for name in lab.members},
        lab_store(situation.paths),
    )
    until = args.until
    if until is None and not told.is_over:
        until = status.get("virtual-time")  # what machines get from outside is known up to there
    start = _start(args.start, situation) if args.start is not None else told.start
    began = time.monotonic()
    with ExitStack() as stack:
        output = _Output(lab, told, args.port, silent=args.json)
        run, wires = _at_start(lab, told, start, output.hear, stack)
        capture = _capture(args.capture, lab, wires) if args.capture is not None else None
        begun_at = start.record.now if start is not None else 0
        divergence = run.run(until)
        output.end()
        wires.close()
        if capture is not None and capture.fault:
            raise HostError(f"{capture.path}: frames are missing: {capture.fault}")
        took = time.monotonic() - began
        lines = []
        if divergence is not None:
            lines = [*divergence.lines(), *_refined(lab, told, start, run, divergence)]
    _tell(args, run, divergence, lines, (begun_at, took))
    if told.is_torn and not args.json:
        print("vmmgr: the last entry of a log is incomplete", file=sys.stderr)
    return ExitCode.OK if divergence is None else ExitCode.FAILURE


def _lab(situation: Situation) -> Lab:
    """The lab as its file has it, which is as it was recorded. Raises VmmgrError."""
    record = situation.last_run
    if record is None or not Path(record.file).exists():
        where = f"{record.file} is gone" if record is not None else "it is not known which"
        raise UsageError(
            f"{situation.name} needs its lab file, and {where}", help="put it back where it was"
        )
    lab = load(Path(record.file), record.given)
    if lab_identity_hash(lab) != record.identity:
        raise SnapshotMismatchError(
            f"{lab.source}: the lab was recorded with other machines, links or cables",
            help="make the file what it was",
        )
    return lab


def _start(wanted: str, situation: Situation) -> LabSnapshot:
    """The snapshot of `--from`. Raises UsageError, SnapshotCorruptError."""
    from manager.snapshot.store import Store

    path = Path(wanted)
    store = lab_store(situation.paths)
    if path.is_dir() and path.absolute().parent == store.own:
        return store.open_at(path.absolute())
    if "/" in wanted or Store(store.own).path(wanted) is None:
        raise UsageError(f"there is no snapshot {wanted!r} of {situation.name}")
    return store.open(wanted)


def _at_start(
    lab: Lab, told: LabStory, start: LabSnapshot | None, hear: Heard, stack: ExitStack
) -> tuple[LabReplay, Wires]:
    """All machines where the replay begins, and what is between them. Raises VmmgrError."""
    machines: dict[str, Machine] = {}
    for name, story in told.members.items():
        if start is None:
            machine = machine_at_start(story.header)
        elif name in start.machines:
            machine = restored(graph_of(story.header), start.machines[name])
        else:
            continue
        stack.callback(machine.free)
        machines[name] = machine
    wires = wires_at(lab, machines, start)
    now = start.record.now if start is not None else 0
    return LabReplay(lab, machines, wires, told.members, now=now, hear=hear), wires


class _Output:
    """What is printed: all consoles, a line at a time, or one port as it is."""

    def __init__(self, lab: Lab, told: LabStory, wanted: str | None, *, silent: bool) -> None:
        graphs = {name: graph_of(story.header) for name, story in told.members.items()}
        self._labelled: Labelled | None = None
        self._ports: dict[str, str] = {}
        if silent:
            return
        if wanted is None:
            with_ports = {name: graph for name, graph in graphs.items() if graph.serial_ports()}
            self._ports = {name: port_of(graph, None) for name, graph in with_ports.items()}
            if self._ports:
                self._labelled = Labelled(list(self._ports), times=False, raw=False)
            return
        name, _, port = wanted.partition(".")
        if name not in graphs:
            raise UsageError(
                f"--port {wanted}: which machine is that?",
                help=f"say MACHINE or MACHINE.PORT; {lab.name} has {', '.join(graphs)}",
            )
        self._ports[name] = port_of(graphs[name], port or None)

    def hear(self, name: str, port: str, data: bytes) -> None:
        """A machine sent something."""
        if self._ports.get(name) != port:
            return
        if self._labelled is not None:
            self._labelled.add(name, data, is_new=False)
        else:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def end(self) -> None:
        """No more will come."""
        if self._labelled is not None:
            self._labelled.idle(at_end=True)


def _capture(wanted: str, lab: Lab, wires: Wires) -> Capture:
    """A capture of the link that is named, or of the only one. Raises UsageError, HostError."""
    name, has_name, file = wanted.rpartition("=")
    if not has_name:
        name = next(iter(lab.links), "")
    if name not in lab.links or (len(lab.links) > 1 and not has_name):
        known = ", ".join(lab.links) or "none"
        raise UsageError(
            f"--capture {wanted}: which link is that?", help=f"{lab.name} has: {known}"
        )
    capture = Capture(Path(file), lab.epoch, anew=True)
    wires.capture(name, capture)
    return capture


def _refined(
    lab: Lab, told: LabStory, start: LabSnapshot | None, first: LabReplay, found: LabDivergence
) -> list[str]:
    """Replay once more up to the difference: do two replays agree?"""
    states = first.members[found.machine].checks.found
    if not states:
        return []
    with ExitStack() as stack:
        second, _ = _at_start(lab, told, start, lambda name, port, data: None, stack)
        second.run(found.divergence.at + 1)
        again = second.members[found.machine].checks.found
    if not again:
        return ["  a second replay did not differ there: something on this host decides"]
    differ = compare.records(states, again)
    if not differ:
        return [
            "  two replays agree with each other: the recorded run had something that they lack"
        ]
    return [
        "  two replays differ from each other, so something on this host decides:",
        *(f"    {line}" for line in compare.listed(differ)),
    ]


def _tell(
    args: argparse.Namespace,
    run: LabReplay,
    found: LabDivergence | None,
    lines: list[str],
    passed: tuple[int, float],
) -> None:
    begun_at, took = passed
    if not args.json:
        verdict = "the same" if found is None else "not the same"
        text = f"{verdict}: from {seconds(begun_at)} to {seconds(run.now())} in {took:.2f} s, "
        text = "\n".join([f"{text}{run.checked} checks held", *lines])
        print(f"vmmgr: {text}", file=loud(sys.stderr) if found else sys.stderr)
        return
    result: dict[str, Any] = {
        "same": found is None,
        "from": begun_at,
        "virtual_time": run.now(),
        "seconds": round(took, 3),
        "checks": run.checked,
        "machines": list(run.members),
    }
    if found is not None:
        difference = found.divergence
        result["divergence"] = {
            "machine": found.machine,
            "at": difference.at,
            "after": difference.after,
            "ports": list(difference.ports),
            "states": list(difference.states),
            "detail": lines,
        }
    print_json(result)
