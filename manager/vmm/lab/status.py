# SPDX-License-Identifier: BSD-2-Clause
"""What a running lab is doing, as `query-status` answers it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from manager.vmm.lab.member import Member
    from manager.vmm.lab.running import RunningLab


def status_of(running: RunningLab) -> dict[str, Any]:
    """The lab, its machines and its wires. Times are in ns and s."""
    over = [
        {"name": f"{running.lab.name}/{name}", "state": "over", "detail": end.detail}
        for name, end in running.over.items()
    ]
    return {
        "name": running.lab.name,
        "state": "paused" if running.is_held() else "running",
        "pid": os.getpid(),
        "virtual-time": running.now(),
        "quantum": running.step,
        "uptime": round(time.monotonic() - running.started, 3),
        "clock": running.lab.clock_mode,
        "ready": _ready(running),
        "machines": [_member(member) for member in running.members.values()] + over,
        **running.wires.describe(),
        "sandbox": [layer.describe() for layer in running.sandbox],
    }


def _member(member: Member) -> dict[str, Any]:
    running = member.running
    return {
        "name": running.machine.graph.name,
        "state": running.holds.state,
        "ready": running.waiting.ready,
        "waits-for": running.waiting.awaited,
        "resets": running.machine.resets,
    }


def _ready(running: RunningLab) -> bool | None:
    """Whether all machines are ready that say when they are; None when none does."""
    waits = [member.running.waiting for member in running.members.values()]
    verdicts = [one.ready for one in waits if one.awaited or one.ready is not None]
    return all(verdicts) if verdicts else None
