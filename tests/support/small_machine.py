# SPDX-License-Identifier: BSD-2-Clause
"""Our own guest in 2 MiB with a disk, its snapshots, and a process that takes one.

usage: small_machine.py FOLDER NUMBER delta|full

Restores the machine whose store is in FOLDER, writes NUMBER to two places of its RAM and of its
disk, makes the file FOLDER/mark and commits.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from manager.bus.memory import PAGE, Ram
from manager.graph.build import load_graph
from manager.graph.nodes import Graph
from manager.machine.machine import Machine
from manager.snapshot.read import open_snapshot, verify_snapshot
from manager.snapshot.store import Store

ROOT = Path(__file__).parents[2]
PLACES = (0x60000, 0x70000)
SECTOR = 512
MILLISECOND = 1_000_000
_DISK = """
[disks.root]
size = "1M"
[slots."31.1"]
device = "ide"
primary-master = "root"
"""


def hello(folder: Path) -> Graph:
    """The graph; its machine file is made in `folder`."""
    text = (ROOT / "machines" / "hello.toml").read_text().replace('size = "16M"', 'size = "2M"')
    image = ROOT / "machines" / "hello" / "hello.bin"
    (folder / "small.toml").write_text(text.replace("hello/hello.bin", str(image)) + _DISK)
    return load_graph(folder / "small.toml")


def restored(graph: Graph, store: Store, tag: str = "current") -> Machine:
    """The machine as it was saved."""
    path = store.path(tag)
    assert path is not None
    return Machine.restore(graph, open_snapshot(path))


def incremental(graph: Graph, store: Store) -> Path:
    """Save a machine as a base and a delta; NUMBER is 0."""
    machine = Machine.power_on(graph)
    machine.run(300 * MILLISECOND)
    for page in range(0x40, 0xA0, 2):
        machine.memory.write(page * PAGE, random.Random(page).randbytes(PAGE))
    store.commit(machine.run_to_image(), "base")
    machine = restored(graph, store, "base")
    machine.run(machine.now() + 100 * MILLISECOND)
    put_number(machine, 0)
    path = store.commit(machine.run_to_image())
    assert any(entry.delta for entry in open_snapshot(path).manifest.ram)
    return path


def put_number(machine: Machine, number: int) -> None:
    """Write it to both places."""
    for place in PLACES:
        machine.memory.write(place, number.to_bytes(4, "little"))
        machine.disks["root"].write(place, number.to_bytes(4, "little").ljust(SECTOR, b"\0"))


def saved_number(graph: Graph, store: Store) -> int:
    """The number in the current snapshot, all of which is checked."""
    path = store.current()
    assert path is not None
    verify_snapshot(path)
    machine = restored(graph, store)
    found = [machine.memory.read(place, 4) for place in PLACES]
    found += [machine.disks["root"].read(place, SECTOR)[:4] for place in PLACES]
    machine.disks.close()
    assert len(set(found)) == 1, "RAM and disk are of different times"
    return int.from_bytes(found[0], "little")


def main() -> None:
    """Commit once."""
    folder, number, kind = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    store = Store(folder / "store")
    machine = restored(hello(folder), store)
    put_number(machine, number)
    if kind == "full":
        for region in machine.memory.regions:
            if isinstance(region.memory, Ram):
                region.memory.backing = None
    (folder / "mark").touch()
    store.commit(machine.run_to_image())


if __name__ == "__main__":
    main()
