# SPDX-License-Identifier: BSD-2-Clause
"""One process's leg of a run with input: from power-on or the store's state to a virtual time.

usage: leg.py MACHINE STORE UNTIL_NS start|whole|delta|last

What is typed, and when, is the same in every run. All but `last` save at the end: `whole` without
a delta, the others as the store sees fit. Prints what the ports sent and, for `last`, digests.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from manager.bus.memory import Ram
from manager.bus.record import to_plain
from manager.graph.build import load_graph
from manager.machine.machine import Machine
from manager.snapshot.read import open_snapshot
from manager.snapshot.store import Store

SECOND = 1_000_000_000
TYPED = [
    (3 * SECOND, b"cat /proc/interrupts; ls -l /bin | head -20\n"),
    (3 * SECOND + 400_000_000, b"i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo line $i; done\n"),
    (4 * SECOND, b"dd if=/dev/urandom bs=4k count=4 | md5sum; uptime\n"),
    (4 * SECOND + 500_000_000, b"cat /proc/meminfo | sort | tail -5; echo end\n"),
]
"""(virtual time, what is typed at COM1)."""


def main() -> None:
    """Run the leg."""
    machine_file, store, until, kind = (
        Path(sys.argv[1]),
        Store(Path(sys.argv[2])),
        int(sys.argv[3]),
        sys.argv[4],
    )
    graph = load_graph(machine_file)
    current = store.current()
    if current is not None:
        machine = Machine.restore(graph, open_snapshot(current))
    else:
        machine = Machine.power_on(graph)
    start = machine.now()
    for at, text in [*(item for item in TYPED if start <= item[0] < until), (until, b"")]:
        machine.run(at)
        machine.ports["lpc.com1"].feed(text)
    result = {"output": {id: port.take_output().hex() for id, port in machine.ports.items()}}
    image = machine.run_to_image()
    if kind == "last":
        ram = hashlib.sha256()
        for region in machine.memory.regions:
            ram.update(region.memory)
        result["ram"] = {"": ram.hexdigest()}
        result["records"] = {id: repr(to_plain(one)) for id, one in image.records.items()}
    else:
        for region in machine.memory.regions:
            if kind == "whole" and isinstance(region.memory, Ram):
                region.memory.backing = None
        saved = open_snapshot(store.commit(image))
        result["saved"] = {"delta": str(any(entry.delta for entry in saved.manifest.ram))}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
