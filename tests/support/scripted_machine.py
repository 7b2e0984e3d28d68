# SPDX-License-Identifier: BSD-2-Clause
"""A machine without a CPU: a scripted guest on virtual time, behind real serial ports."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from manager.bus.clock import Clock, ManualTime
from manager.bus.memory import Memory
from manager.bus.record import NEVER, Record, moment, octets
from manager.cli.main import main
from manager.devices import host
from manager.devices.uart import IsaUartNode
from manager.graph.identity import to_plain
from manager.graph.nodes import Graph, ImageBoot, Ready
from manager.machine.boot_images import BootImages
from manager.machine.disks import Disks
from manager.machine.ended import Ended
from manager.machine.places import CpuPlace
from manager.machine.serial_port import SerialPort, SerialPortState
from manager.machine.trace import Trace
from manager.snapshot.image import Image, RamRegion
from manager.snapshot.read import Snapshot
from manager.state.paths import MachinePaths
from manager.state.situation import look

MS = 1_000_000
BANNER = ((1 * MS, b"boo"), (1 * MS + 7, b"ting\r\n"), (5 * MS, b"\x1b[1mlogin:\x1b[0m "))


@dataclass(slots=True)
class FakeState(Record):
    TYPE: ClassVar[str] = "fake"

    now: int = moment("virtual time")
    line: bytearray = octets(0, 4096, "input so far")


class FakeMachine:
    """Prints BANNER, then answers lines: `off` powers off, `fault` is a triple fault, others echo.

    It is idle between events; a byte of input takes it 100 us.
    """

    restore_error: ClassVar[Exception | None] = None
    image_error: ClassVar[Exception | None] = None

    def __init__(self, graph: Graph, script: tuple[tuple[int, bytes], ...] = BANNER) -> None:
        self.graph = graph
        self.time = ManualTime()
        self.clock = Clock(self.time)
        self.memory = Memory([])
        self.ports = {node.id: SerialPort(node.id) for node in graph.serial_ports()}
        self.network_ports: dict[str, object] = {}
        self.script = list(script)
        self.line = b""
        self.ended: Ended | None = None
        self.stopped = False
        self.busy = False
        self.resets = 0
        self.trace = Trace(graph, self.now)
        self.images = BootImages({})
        self.disks = Disks({}, {})
        self.engine = types.SimpleNamespace(time=(0, 0))  # it executes no code

    def screen(self) -> None:
        """It has none."""

    @classmethod
    def power_on(cls, graph: Graph, disks: Disks | None = None) -> FakeMachine:
        return cls(graph)

    @classmethod
    def restore(cls, graph: Graph, snapshot: Snapshot, disks: Disks | None = None) -> FakeMachine:
        if cls.restore_error is not None:
            raise cls.restore_error
        state = snapshot.record("cpu.0", FakeState)
        machine = cls(graph, ((state.now, b"resumed\r\n"),))
        machine.time.value = state.now
        machine.line = bytes(state.line)
        for id, port in machine.ports.items():
            port.load(snapshot.record(id, SerialPortState))
        return machine

    @property
    def inputs(self) -> FakeMachine:
        return self

    def post(self, kind: str, port: str = "", data: bytes = b"") -> None:
        self.print(f"{kind} {port}\r\n".encode())

    def advice(self) -> dict[str, str]:
        return {}

    def places(self) -> list[CpuPlace]:
        return []

    def now(self) -> int:
        return self.time()

    def run(self, until: int, *, yielding: bool = False) -> Ended | None:
        self.stopped = False
        while self.ended is None:
            self.clock.run_due()
            while self.script and self.script[0][0] <= self.now():
                self.print(self.script.pop(0)[1])
            if self.now() >= until or self.stopped:
                break
            if (byte := self.console.receive()) >= 0:
                self.time.value += MS // 10
                self.take(byte)
                continue
            self.time.value = min(until, self.next_event())
        return self.ended

    def next_event(self) -> int:
        due = self.script[0][0] if self.script else NEVER
        return min(self.clock.next_deadline(), due)

    @property
    def console(self) -> SerialPort:
        return next(iter(self.ports.values()))

    def print(self, data: bytes) -> None:
        for byte in data:
            self.console.transmit(byte)

    def take(self, byte: int) -> None:
        if byte != 0x0A:
            self.line += bytes([byte])
            return
        line, self.line = self.line, b""
        if line == b"off":
            self.ended = Ended("power-off", 0, "the guest powered off")
        elif line == b"fault":
            self.ended = Ended("triple-fault", 6, "triple fault at 0:0")
        else:
            self.print(b"got " + line + b"\r\n# ")

    def stop(self) -> None:
        self.stopped = True

    def idle_until(self) -> int | None:
        if self.busy or any(port.pending for port in self.ports.values()):
            return None
        return self.next_event()

    def records(self) -> dict[str, Record]:
        return dict(self.run_to_image().records)

    def run_to_image(self) -> Image:
        if FakeMachine.image_error is not None:
            raise FakeMachine.image_error
        return Image(
            machine=self.graph.name,
            virtual_time=self.now(),
            executed=self.now(),
            identity_hash="0" * 64,
            full_hash="1" * 64,
            identity={},
            config=to_plain(self.graph),
            records={
                "cpu.0": FakeState(self.now(), bytearray(self.line)),
                **{id: port.save() for id, port in self.ports.items()},
            },
            ram=[RamRegion(0, bytes(8192))],
        )

    def close(self) -> None:
        pass


def make_graph(*ports: str, ready: Ready | None = None, mode: str = "virtual") -> Graph:
    devices = tuple(IsaUartNode(id, backend=host.Null()) for id in ports or ("lpc.com1",))
    boot = ImageBoot(Path("x.bin"), 0x7C00, 0x7C00, 16)
    return Graph("demo", Path("demo.toml"), "qemu64", 1 << 20, mode, 0, boot, devices, ready)


@pytest.fixture
def graph() -> Callable[..., Graph]:
    return make_graph


@pytest.fixture
def fake() -> type[FakeMachine]:
    return FakeMachine


@pytest.fixture
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory of this test alone."""
    home = tmp_path / "state"
    monkeypatch.setenv("VMMGR_STATE_HOME", str(home))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return home


@pytest.fixture
def no_cpu(monkeypatch: pytest.MonkeyPatch, state_home: Path) -> None:
    """Every machine that is brought up, here or in a forked process, is a FakeMachine."""
    module = types.ModuleType("manager.machine.machine")
    module.Machine = FakeMachine  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "manager.machine.machine", module)
    monkeypatch.setattr("manager.debug.story.story_of", lambda machine, ended: ())
    monkeypatch.setattr(FakeMachine, "restore_error", None)
    monkeypatch.setattr(FakeMachine, "image_error", None)


@pytest.fixture
def machine_file(tmp_path: Path) -> Path:
    (tmp_path / "x.bin").write_bytes(b"\xf4")
    file = tmp_path / "demo.toml"
    file.write_text(
        'schema = 1\n[clock]\nmode = "paced"\n'
        '[memory]\nsize = "16M"\n'
        '[boot]\nimage = "x.bin"\nload = 0x7c00\nentry = 0x7c00\nbits = 16\n'
        '[slots.0]\ndevice = "hostbridge"\n'
        '[slots.31]\ndevice = "lpc"\n[lpc.com1]\nbackend = "stdio"\n'
        '[ready]\nport = "com1"\nwait-for = "login: $"\ntimeout = "10s"\n'
    )
    return file


@pytest.fixture
def demo(state_home) -> Iterator[MachinePaths]:
    """The machine `demo`; what still runs at the end of a test is ended."""
    paths = MachinePaths.of("demo")
    yield paths
    if look(paths).state == "running":
        main(["down", "demo"])
