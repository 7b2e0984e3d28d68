# SPDX-License-Identifier: BSD-2-Clause
"""Labs without a process of their own: the whole is the same however it is cut."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.assembler import assemble

from manager.bus.record import to_plain
from manager.errors import SnapshotMismatchError
from manager.graph.lab import End, Lab
from manager.graph.labs import load_lab
from manager.lab.run import LabRun
from manager.lab.saved import LabStore
from manager.machine.inputs import DATA

MILLISECOND = 1_000_000
LOAD = 0x7C00
NODE = """
[memory]
size = "1M"
[boot]
image = "{name}.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[slots.0]
device = "hostbridge"
[slots.31]
device = "lpc"
[lpc.com1]
[lpc.com2]
"""
LAB = """
[machines.one]
file = "one.toml"
[machines.two]
file = "two.toml"
[cables.serial]
ends = ["one.com2", "two.com2"]
"""
SPEAKER = """
        cli
        mov dx, 0x3fd
start:  in al, dx               /* until a byte comes from the console */
        test al, 1
        jz start
        mov dx, 0x3f8
        in al, dx
        mov cl, al
next:   mov al, cl              /* numbers to the other machine, and what it answers */
        mov dx, 0x2f8
        out dx, al
        mov dx, 0x2fd
wait:   in al, dx
        test al, 1
        jz wait
        mov dx, 0x2f8
        in al, dx
        mov cl, al
        mov dx, 0x3f8
        out dx, al
        cmp al, 'z'
        jne next
        mov ax, 0x2000          /* the end, with status 0 */
        mov dx, 0x604
        cli
        hlt
"""
ANSWERER = """
        cli
        mov dx, 0x2fd
wait:   in al, dx
        test al, 1
        jz wait
        mov dx, 0x2f8
        in al, dx
        inc al
        out dx, al
        mov dx, 0x2fd
        cmp al, 'z'
        jne wait
        cli
        hlt
"""
SHOUTER = """
        cli
again:  mov dx, 0x2f8           /* a byte in a while, whatever the other does */
        mov al, cl
        inc ecx
        out dx, al
        mov ebx, 2000
pause:  dec ebx
        jnz pause
        jmp again
"""
RESTARTER = """
        cli
        mov dx, 0x2fd
wait:   inc ecx                 /* how long it waited */
        in al, dx
        test al, 1
        jz wait
        mov dx, 0x2f8
        in al, dx
        mov dx, 0x3f8           /* ... is seen outside */
        mov al, cl
        out dx, al
        mov al, 6               /* a reset, which takes ten quanta */
        mov dx, 0xcf9
        out dx, al
again:  jmp again
"""


def lab_of(folder: Path, one: str, two: str, more: str = "") -> Lab:
    for name, source in (("one", one), ("two", two)):
        (folder / f"{name}.toml").write_text(NODE.format(name=name))
        (folder / f"{name}.bin").write_bytes(assemble(source, LOAD, 16))
    (folder / "lab.toml").write_text(LAB + more)
    return load_lab(folder / "lab.toml")


class Heard:
    """What a run's consoles said."""

    def __init__(self) -> None:
        self.text: dict[str, bytearray] = {"one": bytearray(), "two": bytearray()}

    def listen(self, run: LabRun) -> None:
        for name, machine in run.machines.items():
            machine.ports["lpc.com1"].listeners.add(self.text[name].extend)

    def take(self, run: LabRun) -> None:
        for machine in run.machines.values():
            machine.ports["lpc.com1"].take_output()


@contextmanager
def freed(run: LabRun) -> Iterator[LabRun]:
    try:
        yield run
    finally:
        run.free()


def everything(run: LabRun) -> dict[str, Any]:
    """All state of a lab."""
    found: dict[str, Any] = {"wires": run.wires.state(), "over": run.over, "now": run.now()}
    for name, machine in run.machines.items():
        found[name] = {id: to_plain(record) for id, record in machine.records().items()}
        found[f"{name} RAM"] = [bytes(region.memory) for region in machine.memory.everything]
    return found


def start(run: LabRun, at: int = MILLISECOND) -> None:
    run.expect(at, End("one", "lpc.com1"), DATA, b"a")


def run_whole(lab: Lab, until: int) -> tuple[dict[str, Any], Heard]:
    heard = Heard()
    with freed(LabRun.power_on(lab)) as run:
        heard.listen(run)
        start(run)
        run.run(until)
        heard.take(run)
        return everything(run), heard


def run_in_parts(
    lab: Lab, until: int, folder: Path, choose: random.Random
) -> tuple[dict[str, Any], Heard]:
    """Sliced at random, and saved and restored at random quanta."""
    heard = Heard()
    store = LabStore(folder / "lab", lambda name: folder / name)
    run = LabRun.power_on(lab)
    start(run)
    while True:
        with freed(run):
            heard.listen(run)
            run.cut(lambda: choose.randrange(5_000, 100_000))
            run.run(min(until, run.now() + choose.randrange(1, 20) * run.step))
            heard.take(run)
            if run.now() >= until or run.ended is not None:
                return everything(run), heard
            began = run.now() <= MILLISECOND
            store.commit(*run.state())
        run = LabRun.restore(lab, store.open())
        if began:
            start(run)


@pytest.mark.parametrize(
    ("one", "two"),
    [(SPEAKER, ANSWERER), (SHOUTER, RESTARTER)],
    ids=["a talk", "one that restarts all the time"],
)
def test_a_lab_saved_at_random_quanta_does_what_an_undisturbed_one_does(
    one: str, two: str, tmp_path: Path
) -> None:
    lab = lab_of(tmp_path, one, two)
    until = 15 * MILLISECOND

    whole, said = run_whole(lab, until)
    parts, said_in_parts = run_in_parts(lab, until, tmp_path / "states", random.Random(1))

    assert any(said.text.values())
    assert said_in_parts.text == said.text
    assert parts == whole


def test_what_a_machine_sends_last_arrives_and_the_lab_ends_with_its_last_machine(
    tmp_path: Path,
) -> None:
    lab = lab_of(tmp_path, SPEAKER, ANSWERER)
    ends = []
    with freed(LabRun.power_on(lab)) as run:
        run.on_end = lambda name, machine, ended: ends.append((name, ended.reason))
        start(run)
        ended = run.run(100 * MILLISECOND)

        assert ends == [("two", "halted"), ("one", "halted")]
        assert ended is not None
        assert (ended.kind, ended.status) == ("ended", 0)
        assert run.now() < 100 * MILLISECOND


def test_input_for_a_time_that_is_over_is_refused(tmp_path: Path) -> None:
    with freed(LabRun.power_on(lab_of(tmp_path, SPEAKER, ANSWERER))) as run:
        run.run(2 * MILLISECOND)
        with pytest.raises(ValueError, match="1000000 is over"):
            start(run)


def test_a_lab_is_run_until_something_has_been_said(tmp_path: Path) -> None:
    with freed(LabRun.power_on(lab_of(tmp_path, SPEAKER, ANSWERER))) as run:
        heard = Heard()
        heard.listen(run)
        start(run)

        def has_said() -> bool:
            heard.take(run)
            return b"e" in heard.text["one"]

        run.run(100 * MILLISECOND, has_said)
        assert heard.text["one"] == b"bcde"


def test_a_snapshot_of_other_wires_is_refused(tmp_path: Path) -> None:
    store = LabStore(tmp_path / "lab", lambda name: tmp_path / name)
    with freed(LabRun.power_on(lab_of(tmp_path, SPEAKER, ANSWERER))) as run:
        run.run(MILLISECOND)
        store.commit(*run.state())

    with pytest.raises(SnapshotMismatchError):
        LabRun.restore(lab_of(tmp_path, SPEAKER, ANSWERER, 'latency = "1ms"\n'), store.open())
