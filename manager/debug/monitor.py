# SPDX-License-Identifier: BSD-2-Clause
"""What gdb's `monitor` does: a look at the machine that registers and memory do not give."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from manager.bus.record import NEVER, to_plain
from manager.cpu.state import CpuState
from manager.debug import memory
from manager.debug.paging import translate
from manager.errors import UsageError

if TYPE_CHECKING:
    from manager.debug.target import Target

_LINE = 16
_LONGEST = 4096


class Monitor:
    """The commands. `physical`: whether gdb's memory accesses are to physical addresses."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.physical = False
        self._commands: dict[str, tuple[str, Callable[[list[str]], str]]] = {
            "help": ("this list", self._help),
            "info": ("the machine, its time and what the CPU is doing", self._info),
            "devices": ("the devices; with an id, the state of one", self._devices),
            "irq": ("the interrupt controllers", self._irq),
            "translate": ("ADDRESS: the physical address of a linear one", self._translate),
            "phys": ("on|off: memory by physical addresses; ADDRESS [LENGTH]: show", self._phys),
            "suspend": ("save the machine and end", self._suspend),
        }

    def run(self, line: str) -> str:
        """Carry out a command and return what to print. Raises VmmgrError."""
        words = shlex.split(line) or ["help"]
        found = [name for name in self._commands if name.startswith(words[0])]
        if words[0] in self._commands:
            found = [words[0]]
        if len(found) != 1:
            return f"{words[0]!r} is no command of vmmgr's; `monitor help` lists them\n"
        return self._commands[found[0]][1](words[1:])

    def _help(self, _: list[str]) -> str:
        return "".join(f"{name:<10} {what}\n" for name, (what, _) in self._commands.items())

    def _info(self, _: list[str]) -> str:
        machine = self._target.machine
        rows = [
            f"machine   {machine.graph.name}, {machine.graph.source}",
            f"time      {machine.now()} ns since power-on",
        ]
        cpus = machine.engine.cpus
        for number, cpu in enumerate(cpus):
            name = f"cpu {number}" if len(cpus) > 1 else "cpu"
            turn = ", its turn" if len(cpus) > 1 and cpu is machine.cpu else ""
            waiting = ", waits for a start-up message" if cpu.waiting else ""
            rows += _about_cpu(name, cpu.read_state(), turn + waiting)
        return "\n".join(rows) + "\n"

    def _devices(self, arguments: list[str]) -> str:
        records = self._target.machine.records(as_it_is=True)
        if not arguments:
            return "".join(f"{id:<20} {record.TYPE}\n" for id, record in records.items())
        if arguments[0] not in records:
            raise UsageError(f"there is no device {arguments[0]!r}", help="monitor devices")
        return "".join(_fields(to_plain(records[arguments[0]])))

    def _irq(self, _: list[str]) -> str:
        records = self._target.machine.records(as_it_is=True)
        wanted = ("board.pic", "board.ioapic", "board.lapic")
        return "".join(
            f"{id}\n" + "".join(_fields(to_plain(records[id]), "  "))
            for id in records
            if id.startswith(wanted)
        )

    def _translate(self, arguments: list[str]) -> str:
        address = _number(arguments)
        machine = self._target.machine
        place = translate(machine.cpu.read_state(), address, machine.memory.read)
        return f"{address:#x} is {f'at {place:#x}' if place is not None else 'not mapped'}\n"

    def _phys(self, arguments: list[str]) -> str:
        if arguments in (["on"], ["off"]):
            self.physical = arguments == ["on"]
            return f"gdb's addresses are {'physical' if self.physical else 'linear'} now\n"
        start = _number(arguments)
        length = min(_number(arguments[1:]) if arguments[1:] else 64, _LONGEST)
        data = memory.load(self._target.machine, start, length, physical=True)
        if not data:
            return f"there is no RAM at {start:#x}\n"
        return "".join(
            f"{start + at:012x}  {data[at : at + _LINE].hex(' ')}\n"
            for at in range(0, len(data), _LINE)
        )

    def _suspend(self, _: list[str]) -> str:
        result = self._target.suspend()
        return f"suspended; the snapshot is {result['snapshot']}\n"


def _about_cpu(name: str, state: CpuState, more: str) -> list[str]:
    mode = "protected mode, 32 bits" if state.cs.attributes & 1 << 22 else "16 bits"
    if not state.cr0 & 1:
        mode = "real mode"
    elif state.cs.attributes & 1 << 21:
        mode = "long mode, 64 bits"
    paging = "on" if state.cr0 & 1 << 31 else "off"
    level = state.ss.attributes >> 13 & 3
    return [
        f"{name:<9} {mode}, level {level}, paging {paging}"
        + (", halted" if state.halted else "")
        + more,
        f"cs:ip     {state.cs.selector:04x}:{state.rip:x}, base {state.cs.base:#x}",
        f"interrupts {'enabled' if state.rflags & 1 << 9 else 'disabled'}",
    ]


def _number(arguments: list[str]) -> int:
    try:
        return int(arguments[0], 0)
    except (IndexError, ValueError):
        raise UsageError("an address is wanted, such as 0x7c00") from None


def _fields(value: Any, indent: str = "") -> list[str]:
    """Named fields, one a line; those within are indented."""
    rows: list[str] = []
    for name, field in value.items() if isinstance(value, Mapping) else ():
        if isinstance(field, Mapping):
            rows += [f"{indent}{name}\n", *_fields(field, indent + "  ")]
        else:
            rows.append(f"{indent}{name:<16} {_text(field)}\n")
    return rows


def _text(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        return bytes(value[:32]).hex(" ") + (" ..." if len(value) > 32 else "")
    if type(value) is int:
        return "never" if value == NEVER else f"{value:#x}"
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return str(value)
