# SPDX-License-Identifier: BSD-2-Clause
"""What of a machine is written down, by the ids of its parts, and how it is taken over again.

RAM is not among it, nor input on its way.
"""

from __future__ import annotations

from typing import ClassVar

from manager.bus.record import Record, flag, integer, uint
from manager.cpu.engine import PcEngine
from manager.cpu.state import CpuState
from manager.devices.rom import Rom
from manager.lazy import dataclass
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
    """Whose turn it is among several CPUs, or what a seed has decided so far."""

    TYPE: ClassVar[str] = "turn"

    cpu: int = uint(6, "the CPU whose turn it is")
    end: int = uint(64, "when the turn ends; all ones while no other waits", unit="1/4 ns")
    draws: int = uint(64, "how many numbers the seeded schedule has drawn")


@dataclass(slots=True)
class CpuTurnState(Record):
    """What of a CPU is about turns."""

    TYPE: ClassVar[str] = "cpu-turn"

    waiting: bool = flag("waits for a start-up message")
    hold: int = uint(64, "the seed lets its interrupt wait until then", unit="1/4 ns")
    torn: int = integer(0, 8, "bytes that its next instruction has read already", unit="bytes")
    address: int = uint(64, "where, linear")
    value: int = uint(64, "what it has read there")


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
    if _has_turns(engine, board):
        records[TURN_ID] = TurnState(*engine.turn)
        records |= {
            f"{TURN_ID}.{number}": CpuTurnState(cpu.waiting, *cpu.begun)
            for number, cpu in enumerate(engine.cpus)
        }
    if rom is not None:
        records[ROM_ID] = rom.save()
    records |= {id: device.save() for id, device in board.devices.items()}
    records |= {id + INPUT_SUFFIX: port.save() for id, port in board.ports.items()}
    return records


def load(snapshot: Snapshot, engine: PcEngine, board: Board, *, reschedule: bool = False) -> None:
    """Take over what `save` gave. Raises as Snapshot.record does, with nothing changed.

    With `reschedule` turns go on by the engine's own schedule, from its beginning.
    """
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
    turn, of_cpus = None, []
    if _has_turns(engine, board) and not (reschedule and TURN_ID not in snapshot.states):
        turn = snapshot.record(TURN_ID, TurnState)
        of_cpus = [snapshot.record(f"{TURN_ID}.{number}", CpuTurnState) for number in numbers]

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
        for cpu, half in zip(engine.cpus, of_cpus, strict=True):
            cpu.waiting = half.waiting
            cpu.begun = (half.hold, half.torn, half.address, half.value)
        end, draws = (time.ticks, 0) if reschedule else (turn.end, turn.draws)
        engine.turn = (min(turn.cpu, len(cpus) - 1), end, draws)


def _has_turns(engine: PcEngine, board: Board) -> bool:
    """Whether there is anything about turns to write down."""
    return len(engine.cpus) > 1 or board.graph.cpu_seed is not None
