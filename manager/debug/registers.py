# SPDX-License-Identifier: BSD-2-Clause
"""The CPU's registers as gdb numbers them, and the description that tells gdb so.

Source: the GDB manual, appendix "Target Descriptions", "i386 Features"; Intel SDM vol. 1, 8.1.8
(x87 environment). The program counter is given as a linear address, CS base included: that is
what breakpoints and memory are addressed by, in real mode too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from manager import files
from manager.cpu.engine import Cpu
from manager.cpu.state import CpuState
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.machine.machine import Machine

Architecture = Literal["i386", "i386:x86-64"]
LONG: Architecture = "i386:x86-64"
SHORT: Architecture = "i386"
EFER_LMA = 1 << 10
CS_LONG = 1 << 21
"""In the attributes of CS: 64-bit code."""
_X87_EMPTY = 3
_FLAGS = (
    ("CF", 0), ("PF", 2), ("AF", 4), ("ZF", 6), ("SF", 7), ("TF", 8), ("IF", 9), ("DF", 10),
    ("OF", 11), ("NT", 14), ("RF", 16), ("VM", 17), ("AC", 18), ("VIF", 19), ("VIP", 20),
    ("ID", 21),
)  # fmt: skip
_GENERAL_LONG = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp")
_GENERAL_SHORT = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")
_OUR_ORDER = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di")
"""Of CpuState.gpr."""


@dataclass(frozen=True, slots=True)
class Register:
    """One register: how gdb calls it, how wide it is, and how to read it."""

    name: str
    bits: int
    type: str
    feature: str
    read: Callable[[CpuState], int]
    general: int | None = None
    """Its place in CpuState.gpr."""

    def encode(self, state: CpuState) -> bytes:
        """Its value, as hex digits in the guest's byte order."""
        size = self.bits // 8
        value = self.read(state) & (1 << self.bits) - 1
        return value.to_bytes(size, "little").hex().encode()


def architecture(machine: Machine) -> Architecture:
    """Which one to tell gdb: 64-bit when the CPU is, or will be as far as one can tell."""
    from manager.graph.nodes import ImageBoot

    if machine.cpu.read_state().efer & EFER_LMA:
        return LONG
    boot = machine.graph.boot
    if isinstance(boot, ImageBoot):
        return LONG if boot.bits == 64 else SHORT
    kernel = boot.kernel
    return SHORT if kernel is None or _is_32_bit_elf(kernel) else LONG


def _is_32_bit_elf(path: Path) -> bool:
    try:
        with os.fdopen(files.open_regular(path), "rb") as file:
            return file.read(5) == b"\x7fELF\x01"
    except OSError:  # it was there at power-on
        return False


def program_counter(state: CpuState) -> int:
    """The linear address of the next instruction."""
    linear = state.cs.base + state.rip
    is_long = state.efer & EFER_LMA and state.cs.attributes & CS_LONG
    return linear if is_long else linear & 0xFFFF_FFFF


@cache
def registers(kind: Architecture) -> tuple[Register, ...]:
    """All of an architecture, in the order of gdb's numbers."""
    core = "org.gnu.gdb.i386.core"
    wide = kind == LONG
    bits = 64 if wide else 32
    names = (*_GENERAL_LONG, *(f"r{n}" for n in range(8, 16))) if wide else _GENERAL_SHORT
    table = [_general(name, bits, core) for name in names]
    counter = "rip" if wide else "eip"
    table.append(Register(counter, bits, "code_ptr", core, program_counter))
    table.append(Register("eflags", 32, "i386_eflags", core, lambda state: state.rflags))
    for name in ("cs", "ss", "ds", "es", "fs", "gs"):
        table.append(Register(name, 32, "int32", core, _selector(name)))
    for n in range(8):
        table.append(Register(f"st{n}", 80, "i387_ext", core, _x87(n)))
    environment: tuple[tuple[str, Callable[[CpuState], int]], ...] = (
        ("fctrl", lambda state: state.fpu.control),
        ("fstat", lambda state: state.fpu.status & ~0x3800 | state.fpu.top << 11),
        ("ftag", _tags),
        ("fiseg", lambda state: state.fpu.instruction_cs),
        ("fioff", lambda state: state.fpu.instruction),
        ("foseg", lambda state: state.fpu.operand_ds),
        ("fooff", lambda state: state.fpu.operand),
        ("fop", lambda state: 0),
    )
    for name, read in environment:
        table.append(Register(name, 32, "int", core, read))
    sse = "org.gnu.gdb.i386.sse"
    for n in range(16 if wide else 8):
        table.append(Register(f"xmm{n}", 128, "uint128", sse, _xmm(n)))
    table.append(Register("mxcsr", 32, "int32", sse, lambda state: state.mxcsr))
    if wide:
        bases = "org.gnu.gdb.i386.segments"
        table.append(Register("fs_base", 64, "int64", bases, lambda state: state.fs.base))
        table.append(Register("gs_base", 64, "int64", bases, lambda state: state.gs.base))
    system = "vmmgr.i386.system"
    for name in ("cr0", "cr2", "cr3", "cr4", "efer"):
        table.append(Register(name, bits, f"int{bits}", system, _field(name)))
    return tuple(table)


def description(kind: Architecture) -> str:
    """The target description, XML."""
    lines = [
        '<?xml version="1.0"?>',
        '<!DOCTYPE target SYSTEM "gdb-target.dtd">',
        "<target>",
        f"<architecture>{kind}</architecture>",
    ]
    feature = ""
    for register in registers(kind):
        if register.feature != feature:
            lines += ["</feature>"] * bool(feature) + [f'<feature name="{register.feature}">']
            if not feature:
                lines += _flags_type()
            feature = register.feature
        lines.append(
            f'<reg name="{register.name}" bitsize="{register.bits}" type="{register.type}"/>'
        )
    return "\n".join([*lines, "</feature>", "</target>"])


def write(cpu: Cpu, register: Register, value: int) -> bool:
    """Change a register; false for those that only the guest may change."""
    value &= (1 << register.bits) - 1
    if register.general is not None:
        cpu.write_general(register.general, value)
    elif register.name in ("rip", "eip"):
        state = cpu.read_state()
        if value != program_counter(state):
            cpu.write_rip((value - state.cs.base) & (1 << register.bits) - 1)
    elif register.name == "eflags":
        state = cpu.read_state()
        if value != state.rflags & 0xFFFF_FFFF:
            cpu.write_rflags(value)
    else:
        return False
    return True


def _flags_type() -> list[str]:
    fields = [f'<field name="{name}" start="{bit}" end="{bit}"/>' for name, bit in _FLAGS]
    return ['<flags id="i386_eflags" size="4">', *fields, "</flags>"]


def _general(name: str, bits: int, feature: str) -> Register:
    place = int(name[1:]) if name[1:].isdigit() else _OUR_ORDER.index(name[1:])
    kind = "data_ptr" if name[1:] in ("sp", "bp") else f"int{bits}"
    return Register(name, bits, kind, feature, lambda state: state.gpr[place], place)


def _selector(name: str) -> Callable[[CpuState], int]:
    return lambda state: int(getattr(state, name).selector)


def _field(name: str) -> Callable[[CpuState], int]:
    return lambda state: int(getattr(state, name))


def _x87(n: int) -> Callable[[CpuState], int]:
    def read(state: CpuState) -> int:
        place = (state.fpu.top + n) % 8 * 10
        return int.from_bytes(state.fpu.registers[place : place + 10], "little")

    return read


def _xmm(n: int) -> Callable[[CpuState], int]:
    return lambda state: int.from_bytes(state.xmm[16 * n : 16 * n + 16], "little")


def _tags(state: CpuState) -> int:
    """Two bits for each physical register: empty, or else simply valid."""
    return sum(_X87_EMPTY << 2 * n for n in range(8) if state.fpu.empty >> n & 1)
