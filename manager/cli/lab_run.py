# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr run` of a lab: its consoles line by line, each with the name of its machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from manager.cli.known_runs import Closing
from manager.errors import UsageError
from manager.text.shown import loud, shown

if TYPE_CHECKING:
    import argparse

    from manager.cli.labelled import Labelled
    from manager.machine.trial import Tried

_ALONE = {"max_wall": "--max-wall", "paced": "--paced", "cached": "--cached"}
"""What a machine alone can be told."""


def carry_out(args: argparse.Namespace, heard: Callable[[bytes], object]) -> Closing:
    """Run the lab of a file to its end or a verdict; `heard` gets what consoles print.

    Raises VmmgrError.
    """
    from manager.cli import lab_ends
    from manager.cli.arguments import load_lab
    from manager.cli.labelled import Labelled
    from manager.graph.port_names import console_of
    from manager.lab.run import LabRun
    from manager.lab.trial import LabAttempt

    for name, option in _ALONE.items():
        if getattr(args, name):
            raise UsageError(f"{option} is for a machine, and {args.file} is a lab")
    lab = load_lab(args.file, args.settings, require_files=True)
    trial = lab_ends.trial_of(lab, args)
    output = Labelled(list(lab.members), times=False, raw=args.raw)
    consoles = []
    if args.start is None:
        run = LabRun.power_on(lab)
    else:
        run = LabRun.restore(lab, lab_ends.start_of(args.start)[0], reschedule=True)
    try:
        run.wires.open_captures(anew=True)
        for name, machine in run.machines.items():
            if (console := console_of(machine.graph)) is not None:
                port = machine.ports[console]
                port.listeners.add(partial(_hear, output, name, heard))
                consoles.append(port)

        def settled() -> None:
            for port in consoles:
                port.take_output()

        tried = LabAttempt(run, trial).run(settled)
        settled()
    finally:
        run.free()
    output.idle(at_end=True)
    return _close(tried)


def _hear(output: Labelled, name: str, heard: Callable[[bytes], object], data: bytes) -> None:
    heard(data)
    output.add(name, data, is_new=True)


def _close(tried: Tried) -> Closing:
    """Say how it ended."""
    detail = shown(tried.detail)
    words = {
        "failed": f"--fail-on matched: {detail}",
        "budget": f"the time budget is used up; {detail}",
    }
    said = [] if tried.outcome == "matched" else [words.get(tried.outcome, detail)]
    for line in said:
        print(f"vmmgr: {line}", file=loud(sys.stderr) if tried.status else sys.stderr)
    return Closing(tried.status, said)
