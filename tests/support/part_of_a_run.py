# SPDX-License-Identifier: BSD-2-Clause
"""One process's share of a run: from power-on or a snapshot to a virtual time.

usage: part_of_a_run.py MACHINE UNTIL_NS SLICE_NS [--from SNAPSHOT] [--to SNAPSHOT]

Prints what came out of the console and, at the end, a digest of all RAM and the CPU's state.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

from manager.bus.record import to_plain
from manager.graph.build import load_graph
from manager.machine.machine import Machine
from manager.snapshot.read import open_snapshot
from manager.snapshot.write import write_snapshot


def main() -> None:
    """Run the share."""
    parser = argparse.ArgumentParser()
    parser.add_argument("machine", type=Path)
    parser.add_argument("until", type=int)
    parser.add_argument("slice", type=int)
    parser.add_argument("--from", type=Path, dest="start")
    parser.add_argument("--to", type=Path)
    arguments = parser.parse_args()

    graph = load_graph(arguments.machine)
    if arguments.start is not None:
        machine = Machine.restore(graph, open_snapshot(arguments.start))
    else:
        machine = Machine.power_on(graph)
    output: dict[str, str] = dict.fromkeys(machine.ports, "")
    while machine.now() < arguments.until:
        machine.run(min(arguments.until, machine.now() + arguments.slice))
        for id, port in machine.ports.items():
            output[id] += port.take_output().hex()
    image = machine.run_to_image()
    if arguments.to is not None:
        write_snapshot(arguments.to, image)
    ram = hashlib.sha256()
    for region in machine.memory.regions:
        ram.update(region.memory)
    records = {id: repr(to_plain(record)) for id, record in image.records.items()}
    print(json.dumps({"output": output, "ram": ram.hexdigest(), "records": records}))


if __name__ == "__main__":
    main()
