# SPDX-License-Identifier: BSD-2-Clause
"""Which port of which machine of a lab is meant: MACHINE:TEXT, or MACHINE.PORT:TEXT."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from manager.cli.proofs import port_of
from manager.errors import UsageError
from manager.graph.lab import End
from manager.machine.inputs import DATA, Input

if TYPE_CHECKING:
    import argparse

    from manager.graph.lab import Lab
    from manager.lab.saved import LabSnapshot, LabStore
    from manager.lab.trial import LabTrial, Wait
    from manager.text.pattern import Pattern

FOR_EVER = 1 << 62
"""ns."""


def split(lab: Lab, option: str, text: str) -> tuple[End, str]:
    """The port, the machine's console unless named, and the rest. Raises UsageError."""
    address, colon, rest = text.partition(":")
    name, _, port = address.partition(".")
    graph = lab.members.get(name)
    if not colon or graph is None:
        raise UsageError(
            f"{option} {text}: it does not say which machine of {lab.name}",
            help=f"put its name before it, as in `{next(iter(lab.members))}:...`; "
            f"the lab has {', '.join(lab.members)}",
        )
    return End(name, port_of(graph, port or None)), rest


def inputs_of(
    lab: Lab, sends: Sequence[tuple[int, bytes]], log: Path | None, port: str | None
) -> list[Input]:
    """What is sent to machines of a lab, in order: each has its End for a port.

    Raises UsageError.
    """
    if log is not None:
        raise UsageError("--input takes what was recorded of a machine, and this is a lab")
    refuse_port(port)
    found = []
    for at, data in sends:
        end, text = split(lab, "--send", data.decode("utf-8", "surrogateescape"))
        found.append(Input(at, DATA, str(end), text.encode("utf-8", "surrogateescape")))
    return sorted(found, key=lambda item: item.at)


def trial_of(lab: Lab, args: argparse.Namespace) -> LabTrial:
    """What `--until`, `--send` and `--fail-on` say of a lab. Raises UsageError."""
    from manager.lab.trial import LabTrial, Tell, Wait

    refuse_port(args.port)
    steps: list[Wait | Tell] = []
    for option, value in args.steps:
        if option in ("--screen-until", "--keys"):
            raise UsageError(f"{option} takes a machine, and this is a lab")
        if option == "--until":
            end, text = split(lab, option, value.source)
            steps.append(Wait(end, _pattern(option, text)))
        else:
            end, text = split(lab, option, value.decode("utf-8", "surrogateescape"))
            steps.append(Tell(end, text.encode("utf-8", "surrogateescape")))
    fail_on = [] if args.fail_on is None else _fail_on(lab, args.fail_on.source)
    return LabTrial(steps, fail_on, args.max_time if args.max_time is not None else FOR_EVER)


def start_of(reference: str) -> tuple[LabSnapshot, LabStore]:
    """A lab's snapshot by NAME or NAME:TAG, and the store that it is in. Raises VmmgrError."""
    from manager.cli.snapshot.refs import find_snapshot, split
    from manager.state.lab import lab_store
    from manager.state.paths import MachinePaths

    named = split(reference)
    if named is None:
        raise UsageError(f"--from {reference}: of a lab it takes its NAME, or NAME:TAG")
    find_snapshot(reference, of_labs=True)
    name, tag = named
    paths = MachinePaths.of(name)
    if not paths.is_lab:
        raise UsageError(f"--from {reference}: {name} is no lab")
    store = lab_store(paths)
    return store.open(tag), store


def _fail_on(lab: Lab, text: str) -> list[Wait]:
    """At the port that is named, or at the consoles of all machines."""
    from manager.lab.trial import Wait

    if text.partition(":")[0].partition(".")[0] in lab.members and ":" in text:
        end, rest = split(lab, "--fail-on", text)
        return [Wait(end, _pattern("--fail-on", rest))]
    pattern = _pattern("--fail-on", text)
    return [
        Wait(End(name, port_of(graph, None)), pattern)
        for name, graph in lab.members.items()
        if graph.serial_ports()
    ]


def _pattern(option: str, text: str) -> Pattern:
    from manager.text.pattern import PatternError, compile_pattern

    try:
        return compile_pattern(text)
    except PatternError as error:
        raise UsageError(f"{option}: {error.report()}") from None


def refuse_port(port: str | None) -> None:
    """Raise UsageError where `--port` was given."""
    if port is not None:
        raise UsageError(
            "--port names no machine of a lab", help=f"name it with each text: `MACHINE.{port}:...`"
        )
