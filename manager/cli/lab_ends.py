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
    from manager.graph.lab import Lab


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


def refuse_port(port: str | None) -> None:
    """Raise UsageError where `--port` was given."""
    if port is not None:
        raise UsageError(
            "--port names no machine of a lab", help=f"name it with each text: `MACHINE.{port}:...`"
        )
