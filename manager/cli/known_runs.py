# SPDX-License-Identifier: BSD-2-Clause
"""`run --cached`: a run that is known is told again, and not run."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from manager.errors import ExitCode, UsageError
from manager.text.shown import loud

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.machine.machine import Machine
    from manager.vmm.ephemeral import Script
    from manager.vmm.outcome import Outcome

_OF_THE_GUEST = ("ended", "fault", "verdict")
"""Ends that the files and options decide; the others are the user's or the host's."""


class Closing(NamedTuple):
    """How a run ended."""

    status: int
    said: list[str]
    """A line each."""


Run = Callable[[Callable[[bytes], object], Callable[["Machine"], object] | None], "Outcome"]
"""Runs the machine: gives what is printed to the first, the machine at its end to the second."""
Close = Callable[["Outcome"], Closing]
"""Says how it ended."""


def add_cached(parser: argparse.ArgumentParser) -> None:
    """Add `--cached` and `--audit`."""
    parser.add_argument(
        "--cached",
        action="store_true",
        help="if the same run is known, print what it printed and end as it did; if not, run it "
        "and keep the result. Nothing that is typed goes to the guest then, here or at a pty",
    )
    parser.add_argument(
        "--audit",
        metavar="PERCENT",
        type=_percent,
        default=0.0,
        help="with --cached, run so many of the runs that are known again, chosen by chance, and "
        "fail if something differs: 1%%",
    )


def _percent(text: str) -> float:
    try:
        share = float(text.removesuffix("%"))
    except ValueError:
        share = -1
    if not 0 <= share <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no share from 0% to 100%")
    return share


def carry_out(
    key: str,
    audit: float,
    heard: Callable[[bytes], object],
    say: Callable[[bytes], object],
    run: Run,
    close: Close,
) -> Closing:
    """The run called `key`, or what is known of it, which `say` prints.

    `heard` gets what is printed; of those that are known, `audit` in a hundred are run again.
    """
    from manager.state.results import MOST_OUTPUT, KnownRun, Results

    results = Results()
    known = results.find(key)
    if known is not None and random.random() * 100 >= audit:  # noqa: S311  no secret
        say(known.output)
        when = datetime.fromtimestamp(known.made_at).astimezone().strftime("%Y-%m-%d %H:%M")
        _tell(f"known since {when}, when it took {known.seconds:.1f} s: not run again", 0)
        for line in known.said:
            _tell(line, known.status)
        return Closing(known.status, list(known.said))
    output, states, began = bytearray(), [], time.monotonic()

    def both(data: bytes) -> None:
        heard(data)
        if len(output) <= MOST_OUTPUT:
            output.extend(data)

    outcome = run(both, lambda machine: states.append(_state(machine)))
    closing = close(outcome)
    if outcome.kind not in _OF_THE_GUEST or outcome.reason == "patience" or outcome.lost:
        return closing
    seconds, now = time.monotonic() - began, time.time()
    made = KnownRun(closing.status, tuple(closing.said), bytes(output), states[0], seconds, now)
    if known is not None:
        differs = known.differs_from(made)
        if differs:
            results.drop(key)
            line = f"not the same as the run that was known, which is forgotten: {differs}"
            _tell(line, ExitCode.FAILURE)
            return Closing(ExitCode.FAILURE, [line, *closing.said])
        _tell("audited: the same as the run that was known", 0)
    results.add(key, made)
    return closing


def key_of(graph: Graph, script: Script, start: bytes) -> str:
    """What a run is called; `start` is the id of the snapshot that it begins at, if any.

    Raises UsageError when more than files and options decides it, or when it does more than print;
    HostError when a file cannot be read.
    """
    from manager.cli.proofs import port_of
    from manager.machine.disks import beginnings
    from manager.machine.trial import Trial
    from manager.state.decided import key_of as named

    port = port_of(graph, script.port)
    for what in _beyond(graph, port):
        raise UsageError(
            f"{graph.name} {what}, so its run cannot be known beforehand",
            help="leave out `--cached`, or use `--set` to run without that",
        )
    trial = Trial(script.steps, script.fail_on, script.budget or 0, port)
    plain = trial.to_plain()
    return named(
        graph,
        {
            "run": [list(step) for step in plain["steps"]],
            "fail_on": plain["fail_on"] or "",
            "budget": plain["budget"],
            "port": plain["port"],
            "disks": list(beginnings(graph).values()),
            "start": start,
            "on_reset": graph.debug.on_reset,
        },
    )


def _beyond(graph: Graph, console: str) -> Iterator[str]:
    """What of it is more than a function from files and options to what is printed."""
    from manager.devices.host import LinkEnd, Null, Pty, Stdio
    from manager.devices.nic import NicNode

    for port in graph.serial_ports():
        backend = port.backend
        if port.id != console and not isinstance(backend, Stdio | Null | Pty | None):
            yield f"has {port.id} on a {backend.type}"
    for node in graph.devices:
        network = node.network if isinstance(node, NicNode) else None
        if network is not None and (network.capture or not isinstance(network, LinkEnd)):
            yield f"has {node.id} on a network of the host"
    for source in graph.disks:
        if source.mode == "direct":
            yield f'writes the image of disk "{source.name}"'
    if graph.debug.trace:
        yield "writes a trace"
    if graph.gdb is not None:
        yield "lets gdb in"


def _state(machine: Machine) -> bytes:
    from blake3 import blake3

    from manager.replay import digests

    ram = bytes.fromhex(digests.of_ram(machine.memory))
    return blake3(ram + digests.joined(machine.records())).digest()


def _tell(line: str, status: int) -> None:
    print(f"vmmgr: {line}", file=loud(sys.stderr) if status else sys.stderr)
