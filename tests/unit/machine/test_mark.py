# SPDX-License-Identifier: BSD-2-Clause
"""A machine that goes back to a mark does what a fresh one does that resumes there."""

from __future__ import annotations

import random
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from support.disk_writer import OFF, writer
from support.machines import build

from manager.debug.memory import store
from manager.devices.virtio_9p import messages as m
from manager.devices.virtio_9p.device import Virtio9p
from manager.errors import UsageError
from manager.graph.build import load_graph
from manager.machine.inputs import Input
from manager.machine.machine import Machine
from manager.replay import subjects
from manager.replay.processes import Processes
from manager.replay.worker import Job, Leg, Reached, run_leg
from manager.snapshot.write import write_snapshot

pytestmark = pytest.mark.guest

ROOT = Path(__file__).parents[3]
HELLO = ROOT / "machines/hello.toml"
MILLISECOND = 1_000_000
ROUNDS = 10_000
LOOP = """
again:
    inc dword ptr [0x20000]
    jmp again
"""


def look(machine: Machine, until: int = 0) -> Reached:
    """All of the machine, at that time or now."""
    return run_leg(subjects.OneMachine(machine), Leg(max(until, machine.now())))


def elsewhere(machine: Machine, folder: Path, until: int, inputs: list[Input]) -> Reached:
    """What another process makes of a snapshot of the machine."""
    subjects.write(folder / "machine", machine.graph, inputs)
    write_snapshot(folder / "state", machine.run_to_image())
    [reached] = Processes().run(
        Job(str(folder / "machine"), [Leg(until)], start=str(folder / "state"))
    )
    return reached


@pytest.mark.parametrize("at", [1, 10 * MILLISECOND, 1_234_567_891])
def test_run_from_the_mark_is_that_of_a_fresh_restore_in_another_process(
    at: int, tmp_path: Path
) -> None:
    machine = Machine.power_on(load_graph(HELLO))
    machine.run(at)
    until = machine.now() + 400 * MILLISECOND
    given = [Input(machine.now() + 5 * MILLISECOND, "data", "lpc.com1", b"u\nh\n")]
    fresh = elsewhere(machine, tmp_path, until, given)

    machine.mark()
    before = look(machine)
    for number in range(4):
        machine.inputs.post("data", "lpc.com1", b"x" * 40 * number)
        machine.run(machine.now() + random.Random(number).randrange(10**9))
        machine.inputs.post("data", "lpc.com2", b"on its way")
        machine.back()
        assert look(machine) == before
        for item in given:
            machine.inputs.schedule(item)
        assert look(machine, until) == fresh
        machine.back()
    machine.free()


def test_input_on_its_way_and_output_that_was_not_taken() -> None:
    machine = Machine.power_on(load_graph(HELLO))
    machine.run(300 * MILLISECOND)
    machine.ports["lpc.com1"].take_output()
    machine.inputs.post("data", "lpc.com1", b"u\n")
    machine.mark()

    heard = []
    for _ in range(3):
        machine.run(machine.now() + 20 * MILLISECOND)
        heard.append(machine.ports["lpc.com1"].take_output())
        machine.run(machine.now() + 1_700 * MILLISECOND)  # which prints a tick
        machine.back()
        assert machine.ports["lpc.com1"].take_output() == b""

    assert b"up 0.3" in heard[0]
    assert heard == heard[:1] * 3


def test_what_a_guest_wrote_to_its_disk_is_undone(tmp_path: Path) -> None:
    machine = Machine.power_on(load_graph(writer(tmp_path, 'size = "1M"', count=20, end=OFF)))
    disk = machine.disks["root"]
    while b"w" not in machine.ports["lpc.com1"].take_output():
        machine.run(machine.now() + MILLISECOND // 10)
    machine.mark()
    marked, content = look(machine), b"".join(disk.content())

    after = []
    for _ in range(3):
        assert machine.run(machine.now() + 500 * MILLISECOND) is not None
        after.append((look(machine), b"".join(disk.content())))
        machine.back()
        assert b"".join(disk.content()) == content
        assert look(machine) == marked

    assert after[0][1] != content
    assert after == after[:1] * 3


ENDS: dict[str, Callable[[Machine], object]] = {
    "end": lambda machine: machine.run(machine.now() + MILLISECOND),
    "the host writes": lambda machine: store(machine, 0x20000, b"\xff" * 64, physical=True),
    "reset of the board": lambda machine: machine._want_reset("board"),
    "power button": lambda machine: machine.inputs.post("power-button"),
}


@pytest.mark.parametrize("what", ENDS)
def test_whatever_happened_since(what: str, tmp_path: Path) -> None:
    machine = build(tmp_path, LOOP)
    machine.run(2 * MILLISECOND)
    machine.mark()
    marked = look(machine)
    after = look(machine, machine.now() + MILLISECOND)

    for _ in range(2):
        machine.back()
        ENDS[what](machine)
        machine.run(machine.now() + 3 * MILLISECOND)
        machine.back()
        assert look(machine) == marked
        assert look(machine, machine.now() + MILLISECOND) == after


def test_many_ways_back_take_no_more_memory_than_one(tmp_path: Path) -> None:
    machine = build(tmp_path, LOOP)
    machine.run(MILLISECOND)
    machine.mark()
    for _ in range(100):
        machine.run(machine.now() + 1000)
        machine.back()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    for _ in range(ROUNDS):
        machine.run(machine.now() + 1000)
        assert machine.back() == 1

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most < 512  # KiB


def test_a_share_goes_back_though_its_record_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    shared = (
        '[shares.src]\nfolder = "src"\nmode = "overlay"\n'
        '[slots.7]\ndevice = "virtio-9p"\nshare = "src"\ntag = "src"\n'
    )
    machine = build(tmp_path, LOOP, extra=shared)
    device = machine._board.devices["slots.7"]
    assert isinstance(device, Virtio9p)

    def ask(kind: int, *parts: bytes) -> bytes:
        return device.core.files.answer(kind, b"".join(parts), 8192)

    def walk(name: bytes) -> bytes:
        return ask(m.WALK, m.u32(0, 0), (1).to_bytes(2, "little"), m.string(name))

    ask(m.VERSION_OF, m.u32(8192), m.string(m.VERSION))
    ask(m.ATTACH, m.u32(0, m.NO_FID), m.string(b"root"), m.string(b""), m.u32(0))
    machine.mark()
    ask(m.MKDIR, m.u32(0), m.string(b"new"), m.u32(0o755, 0))

    machine.back()

    with pytest.raises(FileNotFoundError):
        walk(b"new")


def test_refusals_name_the_reason(tmp_path: Path) -> None:
    machine = build(tmp_path, LOOP)
    with pytest.raises(UsageError, match="there is no mark to go back to"):
        machine.back()

    machine.mark()
    machine.inputs.on_input = lambda item: None
    with pytest.raises(UsageError, match="being recorded"):
        machine.back()
    with pytest.raises(UsageError, match="being recorded"):
        machine.mark()
    machine.inputs.on_input = None
    machine.back()

    over = build(tmp_path, "mov al, 1\n out 0xf4, al")
    assert over.run(MILLISECOND) is not None
    with pytest.raises(UsageError, match="the machine is over"):
        over.mark()
