# SPDX-License-Identifier: BSD-2-Clause
"""A machine of 256 MiB, a quarter of it noise, and its neighbour: to a folder, and from there."""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from benchmarks.row import FULL, VMMGR, Effort, Row
from manager.bus.memory import PAGE
from manager.graph.build import load_graph
from manager.machine.machine import Machine
from manager.snapshot.read import open_snapshot
from manager.snapshot.store import Store
from manager.stores.names import StoredName
from manager.stores.places import open_remote
from manager.stores.pull import pulled
from manager.stores.push import push
from manager.stores.remote import manifest_of

NAME = "stores"
PEERS = ()

_ROOT = Path(__file__).parents[1]
_RAM = 256 << 20
_CHANGED = 1000
"""Pages that the neighbour has changed."""
_MIB = 1 << 20
TAGS = {"base": "a machine of 256 MiB", "later": f"its neighbour, {_CHANGED} pages later"}


def measure(effort: Effort = FULL) -> list[Row]:
    """Seconds and MiB each way, of the machine and then of its neighbour."""
    seconds: dict[tuple[str, str], list[float]] = {}
    moved: dict[tuple[str, str], float] = {}
    for _ in range(effort.rounds):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            once(Path(folder), f"oci-layout:{folder}/shared", seconds, moved)
    rows = []
    for (way, tag), values in seconds.items():
        note = "checked at both ends; to a folder of the same disk"
        rows.append(Row(f"{way} {TAGS[tag]}", VMMGR, "s", tuple(values), note=note))
        rows.append(Row(f"{way} {TAGS[tag]}: sent", VMMGR, "MiB", (moved[way, tag],)))
    return rows


def once(
    place: Path,
    store: str,
    seconds: dict[tuple[str, str], list[float]],
    moved: dict[tuple[str, str], float],
) -> None:
    """Push both, pull both."""
    saved = _machine(place)
    for tag in TAGS:
        path = saved.path(tag)
        assert path is not None
        began = time.perf_counter()
        sent = push(open_snapshot(path), StoredName("big", tag), open_remote(store))
        seconds.setdefault(("push", tag), []).append(time.perf_counter() - began)
        moved["push", tag] = sent.bytes_sent / _MIB
    there = Store(place / "there")
    for tag in TAGS:
        began = time.perf_counter()
        remote = open_remote(store)
        manifest, blob = manifest_of(remote, StoredName("big", tag))
        local = [there.root / number for number in there.links().values()]
        with pulled(remote, manifest, blob.digest, place / "unfinished", local) as result:
            there.take_in(result.folder, tag)
        seconds.setdefault(("pull", tag), []).append(time.perf_counter() - began)
        moved["pull", tag] = result.bytes_fetched / _MIB


def _machine(place: Path) -> Store:
    text = (_ROOT / "machines" / "hello.toml").read_text()
    text = text.replace('size = "16M"', 'size = "256M"')
    image = _ROOT / "machines" / "hello" / "hello.bin"
    file = place / "big.toml"
    file.write_text(text.replace("hello/hello.bin", str(image)))
    graph, store, chance = load_graph(file), Store(place / "here"), random.Random(1)
    machine = Machine.power_on(graph)
    machine.run(100_000_000)
    for at in range(16 * _MIB, 16 * _MIB + _RAM // 4, _MIB):
        machine.memory.write(at, chance.randbytes(_MIB))
    store.commit(machine.run_to_image(), "base")
    machine.disks.close()
    path = store.path("base")
    assert path is not None
    machine = Machine.restore(graph, open_snapshot(path))
    for number in chance.sample(range(_RAM // 4 // PAGE), _CHANGED):
        machine.memory.write(16 * _MIB + number * PAGE, chance.randbytes(PAGE))
    store.commit(machine.run_to_image(), "later")
    machine.disks.close()
    return store
