# SPDX-License-Identifier: BSD-2-Clause
"""Snapshots under damage, kills and a full disk.

The counts are small here; `VMMGR_THOROUGH=1 pytest tests/system/test_snapshot_robustness.py` takes
those that the documentation states: 10,000 flipped bits, a kill at every system call.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.forgery import change_field
from support.needs import impossible, needs
from support.small_machine import ROOT, hello, incremental, restored, saved_number
from support.vmmgr import Vmmgr

from manager.bus.memory import PAGE
from manager.errors import HostError, SnapshotCorruptError
from manager.graph.nodes import Graph
from manager.machine.machine import Machine
from manager.snapshot.read import open_snapshot, verify_snapshot
from manager.snapshot.store import Store

THOROUGH = os.environ.get("VMMGR_THOROUGH") == "1"
MILLISECOND = 1_000_000


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    return hello(tmp_path)


def test_every_flipped_bit_is_found_by_verify_and_those_outside_ram_by_resume(
    graph: Graph, tmp_path: Path
) -> None:
    path = incremental(graph, Store(tmp_path / "store"))
    files = sorted(path.iterdir())
    for file in files:
        file.chmod(0o600)
    sizes = [file.stat().st_size for file in files]
    chance = random.Random(3)
    missed = []
    for number in range(10_000 if THOROUGH else 400):
        # Half of them in the state, which is small, the others anywhere.
        which = files.index(path / "snapshot.vmms")
        if number % 2:
            [which] = chance.choices(range(len(files)), weights=sizes)
        file, at, bit = files[which], chance.randrange(sizes[which]), chance.randrange(8)
        with file.open("r+b", buffering=0) as stream:
            [byte] = os.pread(stream.fileno(), 1, at)
            os.pwrite(stream.fileno(), bytes([byte ^ 1 << bit]), at)
            try:
                opened = open_snapshot(path)
                if file.name == "snapshot.vmms":
                    missed.append(f"{file.name} at {at:#x} by open")
                opened.verify_ram()
                missed.append(f"{file.name} at {at:#x} by verify")
            except SnapshotCorruptError as error:
                assert file.name in error.message  # noqa: PT017
            os.pwrite(stream.fileno(), bytes([byte]), at)
    assert missed == []
    verify_snapshot(path)


def test_every_class_of_truncation_is_a_clean_error(graph: Graph, tmp_path: Path) -> None:
    path = incremental(graph, Store(tmp_path / "store"))
    for file in sorted(path.iterdir()):
        file.chmod(0o600)
        content = file.read_bytes()
        size = len(content)
        edges = {
            0,
            1,
            7,
            8,
            127,
            128,
            129,
            PAGE - 1,
            PAGE,
            PAGE + 1,
            size // 2,
            size - PAGE,
            size - 1,
        }
        step = 1 if THOROUGH and size < 1 << 16 else size // 40
        for length in sorted({*edges, *range(0, size, step)}):
            if length < size:
                os.truncate(file, length)
                with pytest.raises(SnapshotCorruptError):
                    Machine.restore(graph, open_snapshot(path))
                file.write_bytes(content)
    verify_snapshot(path)


CALLS = (
    "mkdir,openat,write,pwrite64,ftruncate,fchmod,fsync,link,linkat,rename,symlink,unlink,"
    "unlinkat,rmdir,flock,close,lseek,ioctl,newfstatat,readlink"
)


@needs("strace")
def test_a_kill_at_any_system_call_of_a_suspend_loses_nothing(graph: Graph, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    incremental(graph, store)
    points = 0
    for kind in ("delta", "full"):
        (tmp_path / "mark").unlink(missing_ok=True)
        _commit(tmp_path, 1, kind, "-o", tmp_path / "log")
        calls = (tmp_path / "log").read_text().splitlines()
        first = next(n for n, line in enumerate(calls, 1) if str(tmp_path / "mark") in line)
        chosen = range(first, len(calls) + 1)
        for number in chosen if THOROUGH else random.Random(1).sample(chosen, 12):
            before = saved_number(graph, store)
            inject = f"inject={CALLS}:signal=SIGKILL:when={number}"
            _commit(tmp_path, before + 1, kind, "-o", "/dev/null", "-e", inject)
            assert saved_number(graph, store) in (before, before + 1), f"{kind}, call {number}"
            points += 1
    assert points >= (200 if THOROUGH else 24)


def _commit(folder: Path, number: int, kind: str, *options: str | Path) -> None:
    """Commit in a process of its own, under strace."""
    command = ["strace", "-f", "-qq", "-s", "4096", "-e", f"trace={CALLS}", *options]
    script = [sys.executable, ROOT / "tests" / "support" / "small_machine.py"]
    done = subprocess.run(
        [*command, *script, folder, str(number), kind],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode in (0, -9, 137), done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 3 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        impossible(f"a full disk; mount, which needs root, says {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_full_disk_leaves_the_machine_running_and_the_next_suspend_whole(
    graph: Graph, small_disk: Path, goes_on: bool
) -> None:
    store = Store(small_disk / "store")
    incremental(graph, store)
    machine = restored(graph, store)
    store.commit(machine.run_to_image(), goes_on=goes_on)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(PAGE))
        except OSError:
            pass
    before = open_snapshot(store.current() or small_disk).id
    machine.memory.write(0x66000, b"first")

    with pytest.raises(HostError, match=r"No space left.*\n.*free some space"):
        store.commit(machine.run_to_image(), goes_on=goes_on)
    assert verify_snapshot(store.current() or small_disk).id == before
    port = machine.ports["lpc.com1"]
    port.feed(b"help\r")
    machine.run(machine.now() + 100 * MILLISECOND)
    assert b"help" in port.take_output()
    machine.memory.write(0x67000, b"second")
    filler.unlink()
    store.commit(machine.run_to_image(), goes_on=goes_on)

    again = restored(graph, store)
    for one, other in zip(machine.memory.regions, again.memory.regions, strict=True):
        assert one.memory[:] == other.memory[:]
    assert again.memory.read(0x66000, 5) == b"first"


def suspended_hello(vmmgr: Vmmgr) -> Path:
    """Its snapshot, which can be changed."""
    vmmgr("up", "machines/hello.toml", "-d", "--wait-for", "> $")
    vmmgr("suspend", "hello")
    return (vmmgr.home / "state" / "hello" / "snapshots" / "current").resolve()


def test_resume_of_a_time_after_all_times_is_refused(vmmgr: Vmmgr) -> None:
    change_field(suspended_hello(vmmgr), "time", "ticks", (1 << 64) - 1)

    refused = vmmgr("resume", "hello", "-d", status=7)

    assert "later than any machine gets" in refused.stderr


@pytest.mark.parametrize(
    ("device", "field", "value"),
    [
        ("time", "ticks", 1 << 61),
        ("board.rtc", "since", (1 << 63) - 1),
        ("board.pit", "irq_deadline", 0),
    ],
)
def test_resume_with_an_odd_value_runs_and_answers(
    device: str, field: str, value: int, vmmgr: Vmmgr
) -> None:
    change_field(suspended_hello(vmmgr), device, field, value)

    vmmgr("resume", "hello", "-d")

    assert "running" in vmmgr("status", "hello", timeout=10).stdout
    vmmgr("down", "hello", timeout=10)
