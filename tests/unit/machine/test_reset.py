# SPDX-License-Identifier: BSD-2-Clause
"""Resets: who asks for one, what wins, what stays, what it costs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.assembler import assemble
from support.machines import build, finish

from manager.bus.memory import Memory
from manager.cpu.engine import Stop
from manager.graph.build import load_graph
from manager.machine.machine import Machine
from manager.snapshot.read import open_snapshot
from manager.snapshot.store import Store
from manager.snapshot.write import write_snapshot

pytestmark = pytest.mark.guest

SAY_B = """
    mov dx, 0x3f8
    mov al, 'b'
    out dx, al
"""
WAYS = {
    "keyboard controller's pulse": "mov al, 0xfe; out 0x64, al",
    "keyboard controller's output port": "mov al, 0xd1; out 0x64, al; mov al, 0x02; out 0x60, al",
    "port 92h": "mov al, 0x03; out 0x92, al",
    "CF9, hard": "mov dx, 0xcf9; mov al, 0x06; out dx, al",
    "CF9, soft": "mov dx, 0xcf9; mov al, 0x04; out dx, al",
}
FOLLOWED_BY = {
    "HLT without interrupts": "cli; hlt",
    "a breakpoint without an IDT": "int3",
    "an invalid instruction": "ud2",
    "a port without a device": "mov al, 'x'; mov dx, 0x3f8; out dx, al",
    "the end of the machine": "out 0xf4, al",
    "power-off": "mov dx, 0x604; mov ax, 0x3400; out dx, ax",
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def lines(text: str) -> str:
    return text.replace("; ", "\n")


def said(machine: Machine) -> bytes:
    return machine.ports["lpc.com1"].take_output()


@pytest.mark.parametrize("then", FOLLOWED_BY.values(), ids=FOLLOWED_BY)
@each_way
def test_a_reset_wins_over_what_follows_in_its_block(tmp_path: Path, way: str, then: str) -> None:
    machine = build(tmp_path, SAY_B + lines(way) + "\n" + lines(then) + "\n1: jmp 1b")

    ended = machine.run(5_500_000)

    assert ended is None
    assert 4 <= machine.resets <= 6
    assert said(machine) in (b"b" * machine.resets, b"b" * (machine.resets + 1))


def test_a_reset_in_the_middle_of_a_string_of_writes_is_its_last(tmp_path: Path) -> None:
    machine = build(tmp_path, "mov esi, offset text\nmov ecx, 3\nmov edx, 0x64\nrep outsb\n"
                              "text: .byte 0x20, 0xfe, 0x20\n")  # fmt: skip

    machine.run(3_000_000)

    assert machine.resets >= 2
    assert machine.ports["lpc.com1"].take_output() == b""


ENDS = {
    "debug-exit": ("mov al, 7; out 0xf4, al", "debug-exit", ""),
    "power-off": ("mov dx, 0x604; mov ax, 0x3400; out dx, ax", "power-off", ""),
    "strict I/O, writing": ("out 0x99, al", "strict-io", "[debug]\nstrict-io = true\n"),
    "strict I/O, reading": ("in al, 0x99", "strict-io", "[debug]\nstrict-io = true\n"),
}


@pytest.mark.parametrize(("how", "reason", "extra"), ENDS.values(), ids=ENDS)
def test_what_follows_the_end_of_the_machine_is_not_executed(
    tmp_path: Path, how: str, reason: str, extra: str
) -> None:
    after = "mov dword ptr [0x9000], 1; mov al, 'x'; mov dx, 0x3f8; out dx, al; cli; hlt"
    machine = build(tmp_path, lines(how) + "\n" + lines(after), extra=extra)

    ended = finish(machine)

    assert ended.reason == reason
    assert said(machine) == b""
    assert machine.memory.read(0x9000, 4) == bytes(4)


def test_where_the_machine_ended_is_the_access_that_ended_it(tmp_path: Path) -> None:
    machine = build(tmp_path, "mov al, 7\nnop\nout 0xf4, al\nnop\n")

    finish(machine)

    assert machine.cpu.read_state().rip == 0x8000 + 3


def test_a_run_with_resets_does_not_depend_on_its_slices(tmp_path: Path) -> None:
    source = SAY_B + "mov al, 0xfe\nout 0x64, al\nint3\n1: jmp 1b"
    whole, cut = build(tmp_path, source), build(tmp_path, source)

    whole.run(7_654_321)
    while cut.now() < 7_654_321:
        cut.run(min(7_654_321, cut.now() + 777), yielding=True)

    assert cut.resets == whole.resets >= 5
    assert cut.now() == whole.now()
    assert said(cut) == said(whole)


def test_a_jump_to_the_cpus_first_instruction_is_a_reset(tmp_path: Path) -> None:
    machine = build(tmp_path, SAY_B + ".byte 0xea\n.word 0, 0xffff", 16)

    machine.run(3_500_000)

    assert machine.resets >= 2


def test_a_snapshot_counts_the_resets_before_it(tmp_path: Path) -> None:
    machine = build(tmp_path, SAY_B + "mov al, 0xfe\nout 0x64, al\n")
    machine.run(3_500_000)

    write_snapshot(tmp_path / "saved", machine.run_to_image())
    restored = Machine.restore(machine.graph, open_snapshot(tmp_path / "saved"))

    assert restored.resets == machine.resets >= 2


TRIPLE_FAULT = SAY_B + "int3\n"


def test_a_triple_fault_ends_the_machine(tmp_path: Path) -> None:
    ended = finish(build(tmp_path, TRIPLE_FAULT))

    assert ended.reason == "triple-fault"
    assert ended.status == 6


def test_a_triple_fault_can_be_the_reset_that_it_is_on_a_pc(tmp_path: Path) -> None:
    machine = build(tmp_path, TRIPLE_FAULT, extra='[debug]\non-triple-fault = "reset"\n')

    ended = machine.run(5_500_000)

    assert ended is None
    assert machine.resets >= 4
    assert said(machine) in (b"b" * machine.resets, b"b" * (machine.resets + 1))


@pytest.mark.parametrize("how", [*WAYS.values(), "int3"])
def test_a_reset_can_be_the_end(tmp_path: Path, how: str) -> None:
    extra = '[debug]\non-triple-fault = "reset"\non-reset = "stop"\n'

    ended = finish(build(tmp_path, SAY_B + lines(how) + "\n1: jmp 1b", extra=extra))

    assert ended.reason == "reset"
    assert ended.status == 0


# Shutdown codes: a CPU that was reset alone goes on where CMOS 0Fh and 40h:67h say.

TO_REAL_MODE = """
    mov word ptr [0x467], {offset}
    mov word ptr [0x469], {segment}
    mov dword ptr [0x200000], 0x12345678
    mov word ptr [0x9000], 0x10         # a frame to return by: 0900h:0010h
    mov word ptr [0x9002], 0x0900
    mov word ptr [0x9004], 0x0402     # DF
    mov al, 0x0f
    out 0x70, al
    mov al, {code}
    out 0x71, al
    {how}
1:  jmp 1b
"""
REAL_MODE = """
    mov ax, 0xb800                      # anything
    mov ax, cs
    mov dx, 0x3f8
    mov al, 'r'
    out dx, al
    mov al, 0x0f
    out 0x70, al
    in al, 0x71
    add al, '0'
    out dx, al
    out 0xf4, al
"""
CPU_ALONE = {name: way for name, way in WAYS.items() if name != "CF9, hard"}


def real_mode_return(tmp_path: Path, code: int, how: str, vector: tuple[int, int]) -> Machine:
    source = lines(TO_REAL_MODE).format(
        code=code, how=lines(how), segment=vector[0], offset=vector[1]
    )
    machine = build(tmp_path, source, extra='[debug]\non-triple-fault = "reset"\n')
    machine.memory.write(0x9010, assemble(REAL_MODE, 0x10, 16))
    return machine


@pytest.mark.parametrize("how", [*CPU_ALONE.values(), "int3"])
def test_a_reset_of_the_cpu_alone_goes_on_where_cmos_says(tmp_path: Path, how: str) -> None:
    machine = real_mode_return(tmp_path, 0x0A, how, (0x0900, 0x10))

    ended = finish(machine)

    assert ended.reason == "debug-exit"
    assert said(machine) == b"r0"
    assert machine.memory.read(0x200000, 4) == b"\x78\x56\x34\x12"
    assert machine.cpu.read_state().cs.selector == 0x900
    assert machine.resets == 0


@pytest.mark.parametrize("code", [0x0B, 0x0C])
def test_shutdown_codes_that_return_by_the_stack(tmp_path: Path, code: int) -> None:
    machine = real_mode_return(tmp_path, code, WAYS["port 92h"], (0x0900, 0))

    assert finish(machine).reason == "debug-exit"
    state = machine.cpu.read_state()
    assert state.ss.selector == 0x900
    assert state.gpr[4] == (6 if code == 0x0B else 4)
    assert bool(state.rflags & 0x400) == (code == 0x0B)


def test_shutdown_code_5_ends_the_interrupt_in_service(tmp_path: Path) -> None:
    machine = real_mode_return(tmp_path, 0x05, WAYS["port 92h"], (0x0900, 0x10))
    controllers = machine.records()["board.pic"]
    for controller in (controllers.master, controllers.slave):  # type: ignore[attr-defined]
        controller.isr = 1 << 1
    machine._board.devices["board.pic"].load(controllers)

    finish(machine)

    controllers = machine.records()["board.pic"]
    assert controllers.master.isr == controllers.slave.isr == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(("code", "how"), [(0x0A, "CF9, hard"), (0, "port 92h"), (3, "port 92h")])
def test_any_other_reset_clears_ram(tmp_path: Path, code: int, how: str) -> None:
    machine = real_mode_return(tmp_path, code, WAYS[how], (0x0900, 0x10))
    before = machine.memory.read(0x9010, 4)

    machine.run(1_500_000)

    assert machine.resets >= 1
    assert before != bytes(4)
    assert machine.memory.read(0x9010, 4) == bytes(4)


# What clearing RAM costs: as much as was used.

LARGE = """
schema = 1
[memory]
size = "{size}"
[boot]
image = "guest.bin"
load = 0x8000
entry = 0x8000
bits = 32
[slots.0]
device = "hostbridge"
"""


def resident() -> int:
    """KiB of this process in the host's RAM."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1])


def large(tmp_path: Path, source: str, size: str) -> Machine:
    (tmp_path / "guest.bin").write_bytes(assemble(source, 0x8000, 32))
    (tmp_path / "large.toml").write_text(LARGE.format(size=size))
    return Machine.power_on(load_graph(tmp_path / "large.toml"))


RESETS_AFTER_USE = """
    mov edi, 0x1000000
    mov ecx, 0x40000
    mov eax, edi
    rep stosd                           # 1 MiB
    mov al, 0xfe
    out 0x64, al
"""


def test_clearing_ram_takes_none(tmp_path: Path) -> None:
    machine = large(tmp_path, RESETS_AFTER_USE, "2G")
    before = resident()

    machine.run(50_000_000)

    assert machine.resets >= 5
    assert resident() - before < 64 << 10  # KiB, of 2 GiB
    machine.close()


def test_ram_of_a_snapshot_is_cleared_and_saved_again(tmp_path: Path) -> None:
    """The mapped file, its delta, and what was written since, all of it."""
    machine = large(tmp_path, "1: jmp 1b", "32M")
    store = Store(tmp_path / "store")
    marks = (0x900000, 0x1400000, 0x1FFF000)
    machine.memory.write(marks[0], b"base")
    store.commit(machine.run_to_image(), "base")
    second = Machine.restore(machine.graph, open_snapshot(tagged(store, "base")))
    second.memory.write(marks[1], b"delta")
    store.commit(second.run_to_image(), "delta")
    third = Machine.restore(machine.graph, open_snapshot(tagged(store, "delta")))
    third.memory.write(marks[2], b"since")
    before = resident()

    third.memory.clear()

    assert resident() - before < 16 << 10
    assert all(third.memory.read(mark, 16) == bytes(16) for mark in marks)
    store.commit(third.run_to_image(), "cleared")
    last = Machine.restore(machine.graph, open_snapshot(tagged(store, "cleared")))
    assert all(last.memory.read(mark, 16) == bytes(16) for mark in marks)
    assert not nonzero(last.memory)


def tagged(store: Store, tag: str) -> Path:
    path = store.path(tag)
    assert path is not None
    return path


def nonzero(memory: Memory) -> list[int]:
    """Addresses of MiBs that are not all zeros."""
    low = memory.regions[1]
    return [at for at in range(0, low.length, 1 << 20) if any(low.memory[at : at + (1 << 20)])]


def test_ram_that_was_saved_while_running_is_cleared(tmp_path: Path) -> None:
    machine = large(tmp_path, RESETS_AFTER_USE, "64M")
    store = Store(tmp_path / "store")
    machine.memory.write(0x900000, b"early")
    store.commit(machine.run_to_image(), "base", goes_on=True)
    machine.memory.write(0x900100, b"later")

    machine.memory.clear()

    assert machine.memory.read(0x900000, 0x200) == bytes(0x200)
    store.commit(machine.run_to_image(), "cleared", goes_on=True)
    after = Machine.restore(machine.graph, open_snapshot(tagged(store, "cleared")))
    assert after.memory.read(0x900000, 0x200) == bytes(0x200)


def test_a_guest_that_resets_for_ever_uses_up_its_time(tmp_path: Path) -> None:
    machine = build(tmp_path, SAY_B + lines(WAYS["CF9, hard"]) + "\n1: jmp 1b")

    machine.run(10_000_000)

    assert machine.now() >= 10_000_000
    assert 5 <= len(said(machine)) <= 11
    machine.close()


def test_a_bare_engine_stops_where_it_is_told(tmp_path: Path) -> None:
    machine = build(tmp_path, "out 0x80, al\ninc ecx\n1: jmp 1b")
    machine._board.io.claim(0x80, 1, Abandoning(machine))

    stop = machine.engine.run(1_000_000)

    assert stop is Stop.KICK
    assert machine.cpu.read_state().gpr[1] == 0


class Abandoning:
    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def read_port(self, offset: int) -> int:
        return 0

    def write_port(self, offset: int, value: int) -> None:
        self.machine.engine.abandon()
