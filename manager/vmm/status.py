# SPDX-License-Identifier: BSD-2-Clause
"""What a running machine is doing, as `query-status` answers it."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from manager.vmm.advice import with_advice

if TYPE_CHECKING:
    from manager.vmm.running import RunningMachine


def status_of(running: RunningMachine) -> dict[str, Any]:
    """The machine, its CPUs, its time and what it has on the host. Times are in ns and s."""
    machine = running.machine
    return {
        "name": machine.graph.name,
        "state": running.holds.state,
        "blocked-on": running.connections.blocked(),
        "pid": os.getpid(),
        "virtual-time": machine.now(),
        "resets": machine.resets,
        "cpus": [asdict(place) for place in machine.places()],
        "uptime": round(time.monotonic() - running.started, 3),
        "clock": machine.graph.clock_mode,
        "damage": running.restored.damage,
        "ready": running.waiting.ready,
        "waits-for": running.waiting.awaited,
        "ports": with_advice(running.connections.describe(), machine),
        "failed-sinks": running.sinks.describe(),
        "disks": machine.disks.describe(),
        "sandbox": [layer.describe() for layer in running.sandbox],
        "networks": running.networks.describe(),
    }
