# SPDX-License-Identifier: BSD-2-Clause
"""What the verbs about recorded and repeated runs share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from manager.cli.arguments import duration, unescape
from manager.errors import UsageError

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.machine.inputs import Input
    from manager.replay.recordings import Story
    from manager.state.situation import Situation


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Add `--send` and `--input`."""
    parser.add_argument(
        "--send",
        dest="sends",
        action="append",
        default=[],
        type=timed_text,
        metavar="TIME:TEXT",
        help=r"send TEXT at that virtual time, as in `1.5s:ls\n`; may be given again",
    )
    parser.add_argument(
        "--input", metavar="LOG", type=Path, help="the input that was recorded in LOG"
    )
    parser.add_argument("--port", metavar="P", help="com1..com4 or a device id [the console]")


def timed_text(text: str) -> tuple[int, bytes]:
    """Argparse type of TIME:TEXT."""
    time, colon, rest = text.partition(":")
    try:
        if not colon:
            raise ValueError(f"{text!r} is not TIME:TEXT")
        return duration(time), unescape(rest)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def inputs_of(
    graph: Graph, sends: Sequence[tuple[int, bytes]], log: Path | None, port: str
) -> list[Input]:
    """All input, in order. Raises UsageError for a log of another machine."""
    from manager.graph.identity import identity_hash
    from manager.machine.inputs import Input
    from manager.replay import recordings

    found = [Input(at, "data", port, data) for at, data in sends]
    if log is not None:
        told = recordings.story(log)
        if told.header.identity_hash != identity_hash(graph) or told.header.start.snapshot:
            raise UsageError(f"{log} was not recorded from the power-on of such a machine")
        found += recordings.inputs(told)
    return sorted(found, key=lambda item: item.at)


def port_of(graph: Graph, wanted: str | None) -> str:
    """The id of a port, the console's unless named. Raises UsageError."""
    from manager.graph.port_names import console_of, resolve_port

    ids = [node.id for node in graph.serial_ports()]
    return resolve_port(ids, wanted, console_of(graph))


def situation_of(name: str) -> Situation:
    """A machine that is known."""
    from manager.cli.arguments import find_machine

    return find_machine(name)


def story_of(name: str) -> Story:
    """What was recorded of a machine, or is in a log. Raises UsageError, WrongStateError."""
    from manager.replay import recordings

    path = Path(name)
    if path.suffix == ".vmlog":
        return recordings.story(path)
    return recordings.story(situation_of(name).paths.recordings)
