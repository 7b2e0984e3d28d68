# SPDX-License-Identifier: BSD-2-Clause
"""A device of a user's own: a port that counts how often it was read."""

from __future__ import annotations

from pathlib import Path

LOAD = 0x8000
MACHINE = """
schema = 1
[boot]
image = "guest.bin"
load = 0x8000
entry = 0x8000
bits = 32
[slots.0]
device = "hostbridge"
[slots.31]
device = "lpc"
[lpc.debug-exit]
[lpc.counter]
device = "./counter.py:CounterNode"
step = 3
"""
COUNTER = '''
from dataclasses import dataclass

from pydantic import Field

from manager.bus.record import Record, uint
from manager.config.table import DeviceTable
from manager.devices.claims import PortRange
from manager.devices.device import Device
from manager.devices.node import DeviceNode, fact


class CounterTable(DeviceTable):
    step: int = Field(default=1, description="By how much it counts.", examples=[2])


@dataclass(slots=True)
class CounterState(Record):
    """What was counted."""

    TYPE = "counter"

    count: int = uint(8, "reads, times the step")


class Counter(Device[CounterState]):
    STATE = CounterState

    def __init__(self, step, end):
        self.step, self.end = step, end
        self.state = self.power_on()

    def read_port(self, offset):
        self.state.count = self.state.count + self.step & 0xFF
        return self.state.count

    def write_port(self, offset, value):
        """Nothing."""

    def takes(self):
        return {"nudge": self.nudge}

    def nudge(self, data):
        self.state.count = self.state.count + len(data) & 0xFF


@dataclass(frozen=True, slots=True)
class CounterNode(DeviceNode):
    SECTION = "lpc"
    step: int = fact(1)

    @classmethod
    def table(cls):
        return CounterTable

    @classmethod
    def claim(cls, table, place):
        return cls(*place, ports=(PortRange(0x300, 1),), step=table.step)

    def build(self, board):
        counter = Counter(self.step, board.end)
        board.claim(self.ports[0], counter)
        return counter

    @staticmethod
    def about(state):
        return f"counted {state['count']}"
'''


def machine_with_counter(folder: Path, guest: bytes, old: str = "", new: str = "") -> Path:
    """Makes a machine with the counter and a guest; in the counter's file `old` becomes `new`."""
    assert old in COUNTER
    (folder / "counter.py").write_text(COUNTER.replace(old, new) if old else COUNTER)
    (folder / "guest.bin").write_bytes(guest)
    file = folder / "demo.toml"
    file.write_text(MACHINE)
    return file
