# SPDX-License-Identifier: BSD-2-Clause
"""What devices grant shows in nothing: not to a guest, a listener, a debugger or a snapshot.

Random programs are run with grants and without, in the same random slices with the same input, and
everything that can be seen is compared. Faults that grants could have are put in one by one: the
comparison has to find each of them.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import random
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import granting_device, port_programs

from manager.bus.record import to_plain
from manager.cpu.engine import Hit, Watchpoint
from manager.devices.keyboard.device import Keyboard
from manager.devices.lapic.device import Lapic
from manager.devices.uart.uart16550 import Uart16550
from manager.graph.build import load_graph
from manager.graph.nodes import Debug, Graph
from manager.machine import state
from manager.machine.machine import Machine
from manager.machine.serial_port import SerialPort

SEEDS = 400 if os.environ.get("VMMGR_THOROUGH") else 10
STEPS = 250
LONGEST = 200_000_000
MACHINE = """
[clock]
mode = "virtual"
[cpu]
count = {cpus}
quantum = "{quantum}us"
[boot]
image = "guest.bin"
load = 0x8000
entry = 0x8000
bits = 32
[slots.0]
device = "hostbridge"
[slots.3]
device = "uart"
[slots.31]
device = "lpc"
[slots."31.1"]
device = "ide"
primary-master = "one"
[disks.one]
size = "1M"
[lpc.com1]
[lpc.com2]
pace = "{pace}"
[lpc.own]
device = "./own.py:GrantingNode"
[lpc.debug-exit]
port = 0xf4
"""
PORTS = ("lpc.com1", "lpc.com2", "slots.3")


def machine_of(folder: Path, seed: int, old: str = "", new: str = "") -> Graph:
    """A machine with a random program; in the file of its own device `old` becomes `new`."""
    chance = random.Random(seed)
    cpus = chance.choice((1, 2))
    text = MACHINE.format(
        cpus=cpus, quantum=chance.choice((20, 300)), pace=chance.choice(("host", "baud"))
    )
    (folder / "pc.toml").write_text(text if cpus > 1 else text.replace("quantum", "# quantum"))
    own = Path(granting_device.__file__).read_text()
    assert old in own
    (folder / "own.py").write_text(own.replace(old, new) if old else own)
    (folder / "guest.bin").write_bytes(b"\xf4")
    card = load_graph(folder / "pc.toml").device("slots.3")
    assert card is not None
    program = port_programs.guest(seed, card.bars[0].base, [STEPS] * cpus)
    (folder / "guest.bin").write_bytes(program)
    return load_graph(folder / "pc.toml")


class Life:
    """A run of a machine to its end, cut and disturbed as a seed says; `seen` is all of it."""

    def __init__(self, graph: Graph, seed: int, *, granting: bool) -> None:
        # Whoever traces ports sees each access, so nothing is granted.
        debug = Debug(trace=() if granting else ("ports",))
        self.machine = Machine.power_on(replace(graph, debug=debug))
        self.chance = random.Random(seed)
        self.seen: list[Any] = []
        eager = self.chance.random() < 0.2  # takes each byte as it is sent
        for id in PORTS:
            self._listen(id, self.machine.ports[id], eager=eager and id == PORTS[0])
        self.machine.on_hit = self._hit
        self.debugged = 25 if self.chance.random() < 0.3 else 0
        """Slices with a debugger, which are slow."""
        if self.debugged:
            self._debug()
        self.marks = 0

    def _listen(self, id: str, port: SerialPort, *, eager: bool) -> None:
        def begun() -> None:
            self.seen.append((self.machine.now(), id, "begins"))
            if eager:
                port.take_output()

        port.listeners.add(lambda data: self.seen.append((id, data)), begun)

    def _hit(self, hit: Hit, at: int) -> None:
        self.seen.append((hit, at, self.machine.now()))

    def _debug(self) -> None:
        chance = self.chance
        body = port_programs.BODIES[0]
        breakpoints = [body + chance.randrange(3000) for _ in range(40)]
        log = port_programs.LOGS[0] + chance.randrange(200)
        self.machine.engine.debug(breakpoints, [Watchpoint(log, 4, reads=False, writes=True)])

    def run(self) -> Life:
        """To the end."""
        while self.step() is None:
            assert self.machine.now() < LONGEST
        self.look()
        memory = hashlib.sha256()
        for region in self.machine.memory.regions:
            memory.update(region.memory[:0x400000])
        self.seen.append((self.machine.now(), self.machine.engine.time, memory.hexdigest()))
        self.machine.free()
        return self

    def step(self) -> object:
        """One slice, and something between it and the next."""
        chance, machine = self.chance, self.machine
        ended = machine.run(machine.now() + chance.choice((1, 700, 5_000, 60_000, 400_000)))
        if self.debugged:
            self.debugged -= 1
            machine.engine.debug_from_here(step=chance.random() < 0.2)
            if not self.debugged:
                machine.engine.debug((), ())
        act = chance.randrange(12)
        port = machine.ports[chance.choice(PORTS)]
        if act < 3:
            port.take_output()
        elif act < 5:
            port.feed(chance.randbytes(chance.choice((1, 3, 20))))
        elif act == 5:
            self.look()
        elif act == 6 and ended is None:
            self._mark_or_go_back()
        return ended

    def _mark_or_go_back(self) -> None:
        """Once each."""
        if self.marks == 0:
            self.machine.mark()
        elif self.marks == 1:
            self.machine.back()
        self.marks += 1

    def look(self) -> None:
        """All records, and what the ports hold."""
        machine = self.machine
        records = state.save(machine.engine, machine.rom, machine._board)
        plain = {id: to_plain(record) for id, record in records.items()}
        self.seen.append((machine.now(), plain, machine.last_unclaimed_port))
        for port in machine.ports.values():
            port.take_output()


def differs(graph: Graph, seed: int) -> str:
    """Where a run with grants is first seen to differ from one without; empty if nowhere."""
    without, granted = (
        Life(graph, seed, granting=granting).run().seen for granting in (False, True)
    )
    for number, (one, other) in enumerate(zip(without, granted, strict=False)):
        if one != other:
            return f"item {number}: {one!r:.300} and with grants {other!r:.300}"
    return "" if len(without) == len(granted) else "one is longer"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_grants_change_nothing(tmp_path: Path, seed: int) -> None:
    assert differs(machine_of(tmp_path, seed), seed) == ""


def broken(method: Callable[..., Any], old: str, new: str) -> Callable[..., Any]:
    """The method with a piece of its source replaced."""
    source = textwrap.dedent(inspect.getsource(method))
    assert old in source
    namespace = dict(method.__globals__)
    exec(source.replace(old, new), namespace)
    changed: Callable[..., Any] = namespace[method.__name__]
    return changed


STEADY = "self._grants.steady()"
UNLESS, ALWAYS = f"else:\n        {STEADY}", f"if True:\n        {STEADY}"
FAULTS: dict[str, tuple[type, str, str, str]] = {
    "LSR, though it has cleared an error": (Uart16550, "_read_lsr", UNLESS, ALWAYS),
    "MSR, though it has cleared a change": (Uart16550, "_read_msr", UNLESS, ALWAYS),
    "IIR, though it has acknowledged": (Uart16550, "_read_iir", UNLESS, ALWAYS),
    "RBR, though a byte was taken": (
        Uart16550, "_read_rbr", "return byte", f"{STEADY}; return byte",
    ),
    "THR in a loop": (Uart16550, "_emit", "return None", "return self._channel._output"),
    "THR at its own pace": (
        Uart16550, "_write_paced", "state = self.state",
        "state = self.state; self._grants.absorb(self._channel._output)",
    ),
    "the count of a timer": (Lapic, "read_mmio", "register in reg.STEADY", "True"),
    "8042 data, though it was taken": (
        Keyboard, "read_port", "return byte", f"{STEADY}; return byte",
    ),
    "a byte that begins the output": (SerialPort, "transmit", "output or None", "output"),
}  # fmt: skip
OWN_FAULTS = {
    "a length that absorbed writes change": (
        "return len(state.log)",
        f"{STEADY}; return len(state.log)",
    ),
    "what a read changes": ("return state.count", f"{STEADY}; return state.count"),
    "the time": ("return self._clock", f"{STEADY}; return self._clock"),
    "more than there is room for": ("MOST, size)  # most", "MOST + 1, size)"),
}
"""In the device of the test's own."""


def found(folder: Path, old: str = "", new: str = "") -> bool:
    """Whether any of the seeds shows a fault."""
    return any(differs(machine_of(folder, seed, old, new), seed) for seed in range(SEEDS))


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_in_what_is_granted_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    kind, method, old, new = FAULTS[fault]
    monkeypatch.setattr(kind, method, broken(getattr(kind, method), old, new))

    assert found(tmp_path)


@pytest.mark.parametrize("fault", OWN_FAULTS)
def test_fault_in_what_an_own_device_grants_is_found(tmp_path: Path, fault: str) -> None:
    assert found(tmp_path, *OWN_FAULTS[fault])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (f"{STEADY[:-1]}3)", "an access has 1, 2 or 4 bytes, not 3"),
        ("self._grants.absorb(bytes(4))", "takes a bytearray or None"),
        ("self._grants.absorb(None, size=8)", "an access has 1, 2 or 4 bytes, not 8"),
        ("self._grants.absorb(size=1)", "required argument 'buffer'"),
    ],
)
def test_what_cannot_be_granted_is_a_fault_of_the_device(
    tmp_path: Path, wrong: str, told: str
) -> None:
    (tmp_path / "own.py").write_text(
        Path(granting_device.__file__).read_text().replace("return 0xFF", wrong)
    )
    (tmp_path / "pc.toml").write_text(MACHINE.format(cpus=1, quantum=100, pace="host"))
    read = b"\x66\xba\x45\x03\xec\xf4"  # mov dx, 0x345; in al, dx; hlt
    (tmp_path / "guest.bin").write_bytes(read)
    machine = Machine.power_on(load_graph(tmp_path / "pc.toml"))

    ended = machine.run(1_000_000)

    assert ended is not None
    assert ended.reason == "device"
    assert told in ended.detail
    assert "own.py" in ended.detail
