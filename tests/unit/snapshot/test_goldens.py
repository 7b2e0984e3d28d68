# SPDX-License-Identifier: BSD-2-Clause
"""Snapshots that released versions wrote stay readable: by us, and by the independent reader.

tests/goldens/snapshot/VERSION holds a machine suspended at its prompt, once whole and once as a
delta against that, each packed, with what a reader must find in it. `VMMGR_ACCEPT_FORMAT=1` makes
those of the present version anew, which is for versions that are not released yet.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import zstandard
from blake3 import blake3
from support.records import record_types

import manager
from manager.bus.record import from_plain
from manager.graph import plain
from manager.graph.build import load_graph
from manager.graph.nodes import Graph, ImageBoot
from manager.machine.machine import Machine
from manager.snapshot import archive
from manager.snapshot.decode import RENAMED
from manager.snapshot.read import Snapshot, open_snapshot, verify_snapshot
from manager.snapshot.store import Store

ROOT = Path(__file__).parents[3]
GOLDENS = ROOT / "tests" / "goldens" / "snapshot"
SUFFIX = archive.SUFFIX
MILLISECOND = 1_000_000
VERSION = ".".join(manager.__version__.split(".")[:2])


def test_goldens_are_made_when_that_is_asked_for(tmp_path: Path) -> None:
    if os.environ.get("VMMGR_ACCEPT_FORMAT") == "1":
        make(GOLDENS / VERSION, tmp_path)
    assert sorted(GOLDENS.glob("*/*" + SUFFIX))


def make(folder: Path, scratch: Path) -> None:
    """Write the goldens of this version."""
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(scratch / "store")
    graph = golden_graph(scratch)
    machine = Machine.power_on(graph)
    machine.run(500 * MILLISECOND)
    # Paths are in the configuration, and a golden has no home.
    assert isinstance(graph.boot, ImageBoot)
    boot = replace(graph.boot, image=Path("hello.bin"))
    machine.graph = replace(graph, source=Path("golden.toml"), boot=boot)
    found: dict[str, Any] = {}
    for name in ("whole", "delta"):
        path = store.commit(machine.run_to_image(), name, goes_on=True)
        file = folder / f"{name}{SUFFIX}"
        file.unlink(missing_ok=True)
        archive.export(open_snapshot(path), file)
        found[name] = summary(verify_snapshot(path))
        port = machine.ports["lpc.com1"]
        port.feed(b"help\r")
        machine.run(machine.now() + 100 * MILLISECOND)
    (folder / "expected.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def golden_graph(scratch: Path) -> Graph:
    """hello with little memory, and with paths that are the same everywhere."""
    text = (ROOT / "machines" / "hello.toml").read_text().replace('size = "16M"', 'size = "2M"')
    text = text.replace("hello/hello.bin", str(ROOT / "machines" / "hello" / "hello.bin"))
    (scratch / "golden.toml").write_text(text)
    return load_graph(scratch / "golden.toml")


def summary(opened: Snapshot) -> dict[str, Any]:
    """What a reader must find."""
    return {
        "header": {
            "machine": opened.header.machine,
            "virtual_time": opened.header.virtual_time,
            "executed": opened.header.executed,
        },
        "devices": {
            id: [state.chunk.type, state.chunk.version] for id, state in opened.states.items()
        },
        "fields": {id: _jsonable(state.fields) for id, state in opened.states.items()},
        "ram": [[base, blake3(memory).hexdigest()] for base, memory in opened.map_ram()],
    }


def _jsonable(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    return value


FILES = sorted(GOLDENS.glob("*/*" + SUFFIX))
each_golden = pytest.mark.parametrize(
    "file", FILES, ids=lambda file: f"{file.parent.name}-{file.name.partition('.')[0]}"
)


def expected(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((file.parent / "expected.json").read_text())
    part: dict[str, Any] = found[file.name.removesuffix(SUFFIX)]
    return part


def renamed(states: dict[str, Any]) -> dict[str, Any]:
    """Under the ids that parts have now."""
    return {RENAMED.get(id, id): state for id, state in states.items()}


@pytest.fixture
def unpacked(file: Path, tmp_path: Path) -> Path:
    archive.unpack(file, tmp_path / "golden")
    return tmp_path / "golden"


@each_golden
def test_a_golden_reads_as_it_was_written(file: Path, unpacked: Path) -> None:
    wanted = expected(file)
    wanted |= {part: renamed(wanted[part]) for part in ("devices", "fields")}

    assert summary(verify_snapshot(unpacked)) == wanted


@each_golden
def test_every_record_of_a_golden_can_still_be_read(file: Path, unpacked: Path) -> None:
    known = record_types()

    for id, state in open_snapshot(unpacked).states.items():
        kind = known[state.chunk.type]
        from_plain(kind, state.fields, state.chunk.version, id)


@each_golden
def test_the_independent_reader_reads_a_golden(
    file: Path, tmp_path: Path, reader: ModuleType
) -> None:
    folder = tmp_path / "by-tar"
    folder.mkdir()
    content = zstandard.ZstdDecompressor().decompressobj().decompress(file.read_bytes())
    subprocess.run(["tar", "-xf", "-", "-C", folder], input=content, check=True)

    found = reader.read(folder)

    wanted = expected(file)
    assert {id: _jsonable(one["fields"]) for id, one in found["devices"].items()} == wanted[
        "fields"
    ]
    assert [[base, blake3(content).hexdigest()] for base, content in found["ram"]] == wanted["ram"]


@each_golden
def test_a_golden_goes_on_running(file: Path, unpacked: Path) -> None:
    opened = open_snapshot(unpacked)
    graph = plain.from_plain(opened.manifest.config)
    assert isinstance(graph.boot, ImageBoot)
    graph = replace(graph, boot=replace(graph.boot, image=ROOT / "machines/hello/hello.bin"))
    machine = Machine.restore(graph, opened)
    port = machine.ports["lpc.com1"]

    port.feed(b"help\r")
    machine.run(machine.now() + 200 * MILLISECOND)

    assert b"help" in port.take_output()
