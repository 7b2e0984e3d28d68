# SPDX-License-Identifier: BSD-2-Clause
"""What led to a guest's fault, in lines for people.

A triple fault is the third of a chain: an exception, a fault in delivering it, a fault in
delivering the double fault that this is (Intel SDM vol. 3, 6.15). The first is what to look at.
"""

from __future__ import annotations

from collections.abc import Iterator

from manager.cpu.state import CpuState
from manager.cpu.witness import Delivery, Kind, RefusedMsr
from manager.debug.memory import load
from manager.machine.ended import Ended
from manager.machine.machine import Machine

INSTRUCTIONS = 10
_LONGEST = 15
"""Bytes of an instruction."""
NAMES = {
    0: "#DE, divide error",
    1: "#DB, debug exception",
    2: "NMI",
    3: "#BP, breakpoint",
    4: "#OF, overflow",
    5: "#BR, bound range exceeded",
    6: "#UD, invalid opcode",
    7: "#NM, no FPU",
    8: "#DF, double fault",
    10: "#TS, invalid TSS",
    11: "#NP, segment not present",
    12: "#SS, stack fault",
    13: "#GP, general protection",
    14: "#PF, page fault",
    16: "#MF, x87 error",
    17: "#AC, alignment check",
    18: "#MC, machine check",
    19: "#XM, SIMD error",
}
_WITH_ERROR_CODE = {8, 10, 11, 12, 13, 14, 17}
_PAGE_FAULT = 14
_DOUBLE_FAULT = 8
_TABLES = ("the GDT", "the IDT", "the LDT", "the IDT")
_CODE32, _CODE64 = 1 << 22, 1 << 21
"""CS attributes."""


def story_of(machine: Machine, ended: Ended) -> tuple[str, ...]:
    """The story of a fault that has ended the machine; nothing of any other end."""
    if not ended.is_fault:
        return ()
    chain = machine.engine.deliveries if ended.reason == "triple-fault" else ()
    lines = [_delivery(item, first=n == 0) for n, item in enumerate(chain)]
    if (refused := machine.engine.refused_msr) is not None:
        lines.append(f"the last MSR that was refused: {_msr(refused)}")
    if (port := machine.last_unclaimed_port) is not None:
        access = "OUT to" if port[1] else "IN from"
        lines.append(f"the last port that no device has: {access} {port[0]:#x}")
    lines += _code(machine, chain[0] if chain else None)
    return tuple(lines)


def _delivery(item: Delivery, *, first: bool) -> str:
    if item.kind is Kind.EXCEPTION:
        name = NAMES.get(item.vector, f"exception {item.vector}")
    elif item.kind is Kind.INT:
        name = f"INT {item.vector:#x}"
    else:
        name = "an NMI" if item.vector == 2 else f"an interrupt with vector {item.vector:#x}"
    if not first:
        return f"then {name}{_error_code(item)}: the one before could not be delivered"
    place = f"{item.selector:04x}:{item.rip:x}"
    cpu = f" on CPU {item.cpu}" if item.cpu else ""
    return f"it began with {name}{_error_code(item)}, at {place}{cpu}"


def _error_code(item: Delivery) -> str:
    if item.kind is not Kind.EXCEPTION or item.vector not in _WITH_ERROR_CODE:
        return ""
    code = item.error_code
    if item.vector == _PAGE_FAULT:
        fetch = code & 16 or item.cr2 == _linear(item.base, item.rip, item.bits)
        access = "write" if code & 2 else "fetch" if fetch else "read"
        who = "ring 3" if code & 4 else "ring 0"
        why = "not allowed" if code & 1 else "no page"
        if code & 8:
            why = "reserved bits in a page table"
        return f", error code {code:#x} ({access} by {who}: {why}), address {item.cr2:#x}"
    if item.vector == _DOUBLE_FAULT or code == 0:
        return f", error code {code:#x}"
    if code & 2:
        return f", error code {code:#x} (vector {code >> 3:#x} of the IDT)"
    return f", error code {code:#x} (selector {code & 0xFFF8:#x} in {_TABLES[code >> 1 & 3]})"


def _linear(base: int, rip: int, bits: int) -> int:
    """Where code is; 64-bit code has no base."""
    return rip if bits == 64 else base + rip & 0xFFFF_FFFF


def _msr(refused: RefusedMsr) -> str:
    what = f"RDMSR {refused.number:#x}"
    if refused.written:
        what = f"WRMSR {refused.number:#x} <- {refused.value:#x}"
    return f"{what}, at {refused.selector:04x}:{refused.rip:x}"


def _code(machine: Machine, at: Delivery | None) -> Iterator[str]:
    """The instructions from where it happened on, as far as there is memory."""
    cpu = machine.engine.cpus[at.cpu if at is not None else machine.engine.current]
    state = cpu.read_state()
    if at is not None:
        base, rip, bits = at.base, at.rip, at.bits
    else:
        base, rip, bits = state.cs.base, state.rip, _bits(state)
    linear = _linear(base, rip, bits)
    data = load(machine, linear, INSTRUCTIONS * _LONGEST, physical=False, cpu=cpu)
    if not data:
        yield f"no memory is mapped at {linear:#x}, where the next instruction is to be"
        return
    yield from disassemble(data, rip, bits)


def _bits(state: CpuState) -> int:
    if state.efer & 1 << 10 and state.cs.attributes & _CODE64:
        return 64
    return 32 if state.cs.attributes & _CODE32 and state.cr0 & 1 else 16


def disassemble(data: bytes, address: int, bits: int, count: int = INSTRUCTIONS) -> Iterator[str]:
    """Up to `count` lines of Intel's syntax; what is no instruction ends them."""
    try:
        import capstone
    except (ImportError, OSError):  # its library may be out of reach by now
        yield f"  {address:x}:  {data[:16].hex(' ')}"
        return
    modes = {16: capstone.CS_MODE_16, 32: capstone.CS_MODE_32, 64: capstone.CS_MODE_64}
    decoder = capstone.Cs(capstone.CS_ARCH_X86, modes[bits])
    done = 0
    for place, size, name, operands in decoder.disasm_lite(data, address, count):
        code = data[done : done + size].hex(" ")
        yield f"  {place:x}:  {code:29}  {name} {operands}".rstrip()
        done += size
        count -= 1
    if count and done < len(data):
        yield f"  {address + done:x}:  {data[done : done + 8].hex(' ')}  (no instruction)"
