# SPDX-License-Identifier: BSD-2-Clause
"""From a launch to a start in the background, attended by a console or not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from manager.cli.audience import Start
from manager.state.paths import MachinePaths

if TYPE_CHECKING:
    from manager.vmm.launch import Launch


def start_of(launch: Launch, verb: str, *, attended: bool) -> Start:
    """The start of `launch`; `verb` says what became of it: "is up", or "resumed"."""
    paths = MachinePaths.of(launch.graph.name)
    paths.make()
    if launch.resume:
        verb = "resumed"
    return Start(replace(launch, detached=True, attended=attended), paths.owner_log, verb)
