# SPDX-License-Identifier: BSD-2-Clause
"""One CPU of the engine on Unicorn: the architectural state in and out of Unicorn's structures."""

from __future__ import annotations

import struct
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING

from manager.cpu.state import CpuState, Fpu, Msrs, Segment, Table

if TYPE_CHECKING:
    from manager.cpu.unicorn._native import Cpu as NativeCpu
    from manager.cpu.unicorn._native import Engine as NativeEngine

RFLAGS_IF = 1 << 9
HFLAG_SHADOW = 1 << 3
HFLAG2_NMI_BLOCKED = 1 << 2
TSS_BUSY = 1 << 9
"""In the type of a TSS descriptor."""
XMM_STRIDE = 64
SEGMENT_FORMAT = struct.Struct("<IxxxxQII")


class A20Gate:
    """Address line 20, which all CPUs of an engine share."""

    __slots__ = ("_engine", "open")

    def __init__(self, engine: NativeEngine) -> None:
        self._engine = engine
        self.open = True

    def set(self, enabled: bool) -> None:
        """Open or close it."""
        if enabled != self.open:
            self.open = enabled
            self._engine.set_a20(enabled)

    def force(self, enabled: bool) -> None:
        """Open or close it although Unicorn may have lost what it was."""
        self._engine.set_a20(True)
        self._engine.set_a20(enabled)
        self.open = enabled


class UnicornCpu:
    """manager.cpu.engine.Cpu on Unicorn. See that protocol for what the methods do."""

    def __init__(self, native: NativeCpu, layout: ModuleType, gate: A20Gate) -> None:
        self._cpu = native
        self._layout = layout
        self._gate = gate
        # Called often: bound once, straight to the native methods.
        self.connect = native.connect
        self.set_intr = native.set_intr
        self.nmi = native.nmi
        self.can_interrupt = native.can_interrupt

    @property
    def halted(self) -> bool:
        """In HLT."""
        return self._cpu.halted

    @property
    def waiting(self) -> bool:
        """After INIT, for a start-up message."""
        return self._cpu.waiting

    @waiting.setter
    def waiting(self, waiting: bool) -> None:
        self._cpu.waiting = waiting

    @property
    def begun(self) -> tuple[int, int, int, int]:
        """Until which tick its interrupt is held; size, address and old value of what it tears."""
        return self._cpu.begun

    @begun.setter
    def begun(self, begun: tuple[int, int, int, int]) -> None:
        self._cpu.begun = begun

    @property
    def interrupts_enabled(self) -> bool:
        """RFLAGS.IF."""
        return bool(self._get(self._layout.ENV_EFLAGS, 8) & RFLAGS_IF)

    def write_general(self, register: int, value: int) -> None:
        """Change a general register."""
        self._set(self._layout.ENV_REGS + 8 * register, 8, value)

    def write_rip(self, value: int) -> None:
        """Go on elsewhere."""
        self._set(self._layout.ENV_EIP, 8, value)

    def write_rflags(self, value: int) -> None:
        """Change RFLAGS."""
        self._set(self._layout.ENV_EFLAGS, 8, value | 2)
        self._cpu.derive()

    def read_state(self) -> CpuState:
        """The architectural state."""
        at = self._layout
        fpu = self._cpu.peek(at.ENV_FPREGS, 8 * 16)
        xmm = self._cpu.peek(at.ENV_XMM, 16 * XMM_STRIDE)
        tags = self._cpu.peek(at.ENV_FPTAGS, 8)
        variable = list(struct.unpack("<16Q", self._cpu.peek(at.ENV_MTRR_VARIABLE, 128)))
        return CpuState(
            gpr=list(struct.unpack("<16Q", self._cpu.peek(at.ENV_REGS, 128))),
            rip=self._get(at.ENV_EIP, 8),
            rflags=self._get(at.ENV_EFLAGS, 8),
            es=self._segment(at.ENV_SEGS),
            cs=self._segment(at.ENV_SEGS + 24),
            ss=self._segment(at.ENV_SEGS + 48),
            ds=self._segment(at.ENV_SEGS + 72),
            fs=self._segment(at.ENV_SEGS + 96),
            gs=self._segment(at.ENV_SEGS + 120),
            ldtr=self._segment(at.ENV_LDT),
            tr=self._task(),
            gdtr=self._table(at.ENV_GDT),
            idtr=self._table(at.ENV_IDT),
            cr0=self._get(at.ENV_CR, 8),
            cr2=self._get(at.ENV_CR + 16, 8),
            cr3=self._get(at.ENV_CR + 24, 8),
            cr4=self._get(at.ENV_CR + 32, 8),
            efer=self._get(at.ENV_EFER, 8),
            xcr0=self._get(at.ENV_XCR0, 8),
            debug=list(struct.unpack("<8Q", self._cpu.peek(at.ENV_DR, 64))),
            fpu=Fpu(
                control=self._get(at.ENV_FPUC, 2),
                status=self._get(at.ENV_FPUS, 2),
                top=self._get(at.ENV_FPSTT, 4) & 7,
                empty=sum(1 << n for n, tag in enumerate(tags) if tag),
                registers=bytearray(b"".join(fpu[n : n + 10] for n in range(0, 128, 16))),
                instruction=self._get(at.ENV_FPIP, 8),
                instruction_cs=self._get(at.ENV_FPCS, 2),
                operand=self._get(at.ENV_FPDP, 8),
                operand_ds=self._get(at.ENV_FPDS, 2),
            ),
            mxcsr=self._get(at.ENV_MXCSR, 4),
            xmm=bytearray(b"".join(xmm[n : n + 16] for n in range(0, len(xmm), XMM_STRIDE))),
            msr=Msrs(
                sysenter_cs=self._get(at.ENV_SYSENTER_CS, 4),
                mtrr_fixed=list(struct.unpack("<11Q", self._cpu.peek(at.ENV_MTRR_FIXED, 88))),
                mtrr_base=variable[::2],
                mtrr_mask=variable[1::2],
                **{name: self._get(offset, 8) for name, offset in self._msr_offsets()},
            ),
            a20=self._gate.open,
            halted=self.halted,
            shadow=bool(self._get(at.ENV_HFLAGS, 4) & HFLAG_SHADOW),
            nmi_blocked=bool(self._get(at.ENV_HFLAGS2, 4) & HFLAG2_NMI_BLOCKED),
            nmi_pending=self._cpu.nmi_pending,
        )

    def write_state(self, state: CpuState) -> None:
        """Replace the architectural state."""
        at = self._layout
        poke = self._cpu.poke
        self._cpu.forget()
        poke(at.ENV_REGS, struct.pack("<16Q", *state.gpr))
        self._set(at.ENV_EIP, 8, state.rip)
        self._set(at.ENV_EFLAGS, 8, state.rflags | 2)
        segments = (state.es, state.cs, state.ss, state.ds, state.fs, state.gs)
        for number, segment in enumerate(segments):
            poke(at.ENV_SEGS + 24 * number, self._pack_segment(segment))
        poke(at.ENV_LDT, self._pack_segment(state.ldtr))
        available = replace(state.tr, attributes=state.tr.attributes & ~TSS_BUSY)
        poke(at.ENV_TR, self._pack_segment(available))
        for offset, table in ((at.ENV_GDT, state.gdtr), (at.ENV_IDT, state.idtr)):
            poke(offset, SEGMENT_FORMAT.pack(0, table.base, table.limit, 0))
        for number, value in ((0, state.cr0), (2, state.cr2), (3, state.cr3), (4, state.cr4)):
            self._set(at.ENV_CR + 8 * number, 8, value)
        self._set(at.ENV_EFER, 8, state.efer)
        self._set(at.ENV_XCR0, 8, state.xcr0)
        poke(at.ENV_DR, struct.pack("<8Q", *state.debug))
        self._set(at.ENV_FPUC, 2, state.fpu.control)
        self._set(at.ENV_FPUS, 2, state.fpu.status)
        self._set(at.ENV_FPSTT, 4, state.fpu.top)
        poke(at.ENV_FPTAGS, bytes(state.fpu.empty >> n & 1 for n in range(8)))
        for n in range(8):
            poke(at.ENV_FPREGS + 16 * n, bytes(state.fpu.registers[10 * n : 10 * n + 10]))
        self._set(at.ENV_FPIP, 8, state.fpu.instruction)
        self._set(at.ENV_FPCS, 2, state.fpu.instruction_cs)
        self._set(at.ENV_FPDP, 8, state.fpu.operand)
        self._set(at.ENV_FPDS, 2, state.fpu.operand_ds)
        self._set(at.ENV_MXCSR, 4, state.mxcsr)
        for n in range(16):
            poke(at.ENV_XMM + XMM_STRIDE * n, bytes(state.xmm[16 * n : 16 * n + 16]))
        self._set(at.ENV_SYSENTER_CS, 4, state.msr.sysenter_cs)
        for name, offset in self._msr_offsets():
            self._set(offset, 8, getattr(state.msr, name))
        poke(at.ENV_MTRR_FIXED, struct.pack("<11Q", *state.msr.mtrr_fixed))
        pairs = zip(state.msr.mtrr_base, state.msr.mtrr_mask, strict=True)
        poke(at.ENV_MTRR_VARIABLE, b"".join(struct.pack("<QQ", *pair) for pair in pairs))
        self._set(at.ENV_SMBASE, 4, 0x30000)
        self._set(at.ENV_HFLAGS, 4, HFLAG_SHADOW if state.shadow else 0)
        flags2 = self._get(at.ENV_HFLAGS2, 4)
        self._set(at.ENV_HFLAGS2, 4, flags2 | (HFLAG2_NMI_BLOCKED if state.nmi_blocked else 0))
        self._cpu.derive()
        self._gate.force(state.a20)
        self._cpu.halted = state.halted
        if state.nmi_pending:
            self._cpu.nmi()

    def _msr_offsets(self) -> tuple[tuple[str, int], ...]:
        at = self._layout
        return (
            ("sysenter_esp", at.ENV_SYSENTER_ESP),
            ("sysenter_eip", at.ENV_SYSENTER_EIP),
            ("star", at.ENV_STAR),
            ("lstar", at.ENV_LSTAR),
            ("cstar", at.ENV_CSTAR),
            ("fmask", at.ENV_FMASK),
            ("kernel_gs_base", at.ENV_KERNELGSBASE),
            ("tsc_aux", at.ENV_TSC_AUX),
            ("pat", at.ENV_PAT),
            ("misc_enable", at.ENV_MISC_ENABLE),
            ("mtrr_default", at.ENV_MTRR_DEFAULT),
        )

    def _get(self, offset: int, size: int) -> int:
        return int.from_bytes(self._cpu.peek(offset, size), "little")

    def _set(self, offset: int, size: int, value: int) -> None:
        self._cpu.poke(offset, value.to_bytes(size, "little"))

    def _segment(self, offset: int) -> Segment:
        selector, base, limit, attributes = SEGMENT_FORMAT.unpack(self._cpu.peek(offset, 24))
        return Segment(selector & 0xFFFF, base, limit, attributes)

    def _task(self) -> Segment:
        """TR. Unicorn keeps it without the busy bit, which the register of a CPU always has."""
        task = self._segment(self._layout.ENV_TR)
        task.attributes |= TSS_BUSY
        return task

    def _table(self, offset: int) -> Table:
        _, base, limit, _ = SEGMENT_FORMAT.unpack(self._cpu.peek(offset, 24))
        return Table(base, limit & 0xFFFF)

    @staticmethod
    def _pack_segment(segment: Segment) -> bytes:
        return SEGMENT_FORMAT.pack(
            segment.selector, segment.base, segment.limit, segment.attributes
        )
