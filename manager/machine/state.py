# SPDX-License-Identifier: BSD-2-Clause
"""What of a machine is written down, by the ids of its parts, and how it is taken over again.

RAM is not among it, nor input on its way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from manager.bus.record import Record, uint
from manager.cpu.engine import PcEngine
from manager.cpu.state import CpuState
from manager.devices.rom import Rom
from manager.machine.board import Board
from manager.machine.serial_port import SerialPortState
from manager.snapshot.read import Snapshot

CPU_PREFIX = "cpu."
TIME_ID = "time"
ROM_ID = "rom"
INPUT_SUFFIX = ".input"
LATEST = 1 << 62
"""Ticks of 1/4 ns: 36 years of virtual time, and an eighth of those that the engine can count."""


TURN_ID = "turn"


@dataclass(slots=True)
class TurnState(Record):
    """Whose turn it is among several CPUs. A machine with one has no such part."""

    TYPE: ClassVar[str] = "turn"

    cpu: int = uint(6, "the CPU whose turn it is")
    end: int = uint(64, "when the turn ends; all ones while no other waits", unit="1/4 ns")
    waiting: int = uint(64, "bit n: CPU n waits for a start-up message")


@dataclass(slots=True)
class TimeState(Record):
    """Virtual time, as the engine counts it, and what is counted along with it."""

    TYPE: ClassVar[str] = "time"
    VERSION: ClassVar[int] = 2
    UPGRADES = {1: lambda old: {**old, "resets": 0}}

    ticks: int = uint(64, "virtual time since power-on", unit="1/4 ns")
    charged: int = uint(64, "the part of it that was not spent on code", unit="1/4 ns")
    resets: int = uint(64, "how often the machine was reset since power-on")

    def contradiction(self) -> str:
        """A time so late that deadlines could not be told from those that never come."""
        if self.ticks > LATEST:
            return f"{self.ticks} ticks are later than any machine gets"
        if self.charged > self.ticks:
            return "more time was not spent on code than has passed"
        return ""


def save(engine: PcEngine, rom: Rom | None, board: Board) -> dict[str, Record]:
    """The state of each CPU, of time and of every device by id, in a fixed order."""
    records: dict[str, Record] = {
        f"{CPU_PREFIX}{number}": cpu.read_state() for number, cpu in enumerate(engine.cpus)
    }
    records[TIME_ID] = TimeState(*engine.time, board.resets)
    if len(engine.cpus) > 1:
        waiting = sum(1 << number for number, cpu in enumerate(engine.cpus) if cpu.waiting)
        records[TURN_ID] = TurnState(*engine.turn, waiting)
    if rom is not None:
        records[ROM_ID] = rom.save()
    records |= {id: device.save() for id, device in board.devices.items()}
    records |= {id + INPUT_SUFFIX: port.save() for id, port in board.ports.items()}
    return records


def load(snapshot: Snapshot, engine: PcEngine, board: Board) -> None:
    """Take over what `save` gave. Raises as Snapshot.record does, with nothing changed."""
    devices = board.devices
    states = {
        id: snapshot.record(id, device.STATE)
        for id, device in devices.items()
        if id in snapshot.states or id not in board.tacit
    }
    inputs = {id: snapshot.record(id + INPUT_SUFFIX, SerialPortState) for id in board.ports}
    numbers = range(len(engine.cpus))
    cpus = [snapshot.record(f"{CPU_PREFIX}{number}", CpuState) for number in numbers]
    time = snapshot.record(TIME_ID, TimeState)
    turn = snapshot.record(TURN_ID, TurnState) if len(cpus) > 1 else None

    engine.time = (time.ticks, time.charged)
    board.resets = time.resets
    for cpu, cpu_state in zip(engine.cpus, cpus, strict=True):
        cpu.write_state(cpu_state)
    for id, input_state in inputs.items():
        board.ports[id].load(input_state)
    for id, device in devices.items():
        device.load(states[id] if id in states else device.power_on())
    board.settle()
    if turn is not None:  # last: that interrupts are driven again begins no turn
        for number, cpu in enumerate(engine.cpus):
            cpu.waiting = bool(turn.waiting >> number & 1)
        engine.turn = (min(turn.cpu, len(cpus) - 1), turn.end)
