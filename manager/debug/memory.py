# SPDX-License-Identifier: BSD-2-Clause
"""A machine's memory as a debugger sees it. Devices in memory are left alone."""

from __future__ import annotations

from manager.cpu.engine import Cpu
from manager.debug.paging import PAGE, translate
from manager.machine.machine import Machine


def load_physical(machine: Machine, address: int, length: int) -> bytes:
    """RAM or ROM at a physical address. Raises ValueError unless all of it is there."""
    rom = machine.rom
    if rom is not None and rom.base <= address and address + length <= rom.base + len(rom.memory):
        return rom.memory[address - rom.base : address - rom.base + length]
    return machine.memory.read(address, length)


def load(
    machine: Machine, address: int, length: int, *, physical: bool, cpu: Cpu | None = None
) -> bytes:
    """Up to `length` bytes, as `cpu` sees them: fewer where memory ends before."""
    data = b""
    state = (cpu or machine.cpu).read_state()
    while len(data) < length:
        here = address + len(data)
        size = min(length - len(data), PAGE - here % PAGE)
        try:
            place = here if physical else translate(state, here, machine.memory.read)
            if place is None:
                break
            data += load_physical(machine, place, size)
        except ValueError:
            break
    return data


def store(
    machine: Machine, address: int, data: bytes, *, physical: bool, cpu: Cpu | None = None
) -> bool:
    """Change RAM as `cpu` sees it; false when not all of it is RAM, then nothing was changed."""
    state = (cpu or machine.cpu).read_state()
    pieces: list[tuple[int, bytes]] = []
    done = 0
    while done < len(data):
        here = address + done
        size = min(len(data) - done, PAGE - here % PAGE)
        place = here if physical else translate(state, here, machine.memory.read)
        if place is None:
            return False
        try:
            machine.memory.read(place, size)
        except ValueError:
            return False
        pieces.append((place, data[done : done + size]))
        done += size
    for place, piece in pieces:
        machine.engine.invalidate(place, place + len(piece))
        machine.memory.write(place, piece)
    return True
