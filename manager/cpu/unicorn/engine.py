# SPDX-License-Identifier: BSD-2-Clause
"""The engine on the stock PyPI wheel of Unicorn 2.1.4.

The native half (native/) is loaded first and globally, because the dynamic linker then gives
libunicorn our SYSCALL, I/O and interrupt functions instead of its own hollow ones. The Python
package `unicorn` is never imported: only its shared library is used.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib import util
from mmap import mmap
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from manager.cpu.engine import Hit, Platform, Stop, Watchpoint
from manager.cpu.models import MODELS
from manager.cpu.state import CpuState, Fpu, Msrs, Segment, Table
from manager.errors import HostError

if TYPE_CHECKING:
    from manager.cpu.unicorn._native import Engine as NativeEngine

RFLAGS_IF = 1 << 9
HFLAG_SHADOW = 1 << 3
HFLAG2_NMI_BLOCKED = 1 << 2
TSS_BUSY = 1 << 9
"""In the type of a TSS descriptor."""
XMM_STRIDE = 64
CODE_BUFFER = 256 << 20
SEGMENT_FORMAT = struct.Struct("<IxxxxQII")


def _library() -> Path:
    spec = util.find_spec("unicorn")
    if spec is None or not spec.submodule_search_locations:
        raise HostError("the CPU engine is missing", help="pip install unicorn==2.1.4")
    for folder in spec.submodule_search_locations:
        path = Path(folder) / "lib" / "libunicorn.so.2"
        if path.exists():
            return path
    raise HostError(
        "the installed unicorn package has no libunicorn.so.2",
        help="use the wheel for Linux: pip install --force-reinstall unicorn==2.1.4",
    )


@cache
def _native() -> ModuleType:
    """The extension, loaded so that it comes before libunicorn in symbol look-up."""
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | os.RTLD_GLOBAL)
    try:
        from manager.cpu.unicorn import _native as native
    except ImportError as error:
        raise HostError(
            f"the native half of the CPU is not built: {error}", help="pip install -e . builds it"
        ) from error
    finally:
        sys.setdlopenflags(flags)
    try:
        native.link(str(_library()))
    except ImportError as error:
        raise HostError(
            f"cannot use the CPU engine: {error}",
            help="install unicorn==2.1.4 and do not import it before vmmgr",
        ) from error
    return native


class UnicornEngine:
    """manager.cpu.engine.Engine on Unicorn. See that protocol for what the methods do."""

    def __init__(self, model: str, platform: Platform, *, code_buffer: int = CODE_BUFFER) -> None:
        """`code_buffer`: bytes of translated code to keep; when it is full, all is forgotten."""
        native = self._layout = _native()
        try:
            engine: NativeEngine = native.Engine(MODELS[model], platform, code_buffer)
        except RuntimeError as error:
            raise HostError(
                f"cannot use the CPU engine: {error}",
                help="install the stock wheel: pip install --force-reinstall unicorn==2.1.4",
            ) from error
        self._engine = engine
        self._stops = {
            native.STOP_DEADLINE: Stop.DEADLINE,
            native.STOP_KICK: Stop.KICK,
            native.STOP_HALT: Stop.HALT,
            native.STOP_SHUTDOWN: Stop.SHUTDOWN,
            native.STOP_FAULT: Stop.FAULT,
            native.STOP_DEBUGGER: Stop.DEBUGGER,
        }
        # Called often: bound once, straight to the native methods.
        self.now = engine.now
        self.advance = engine.advance
        self.limit = engine.limit
        self.kick = engine.kick
        self.set_intr = engine.set_intr
        self.nmi = engine.nmi
        self.can_interrupt = engine.can_interrupt
        self.map_rom = engine.map_rom
        self.map_mmio = engine.map_mmio
        self.map_hole = engine.map_hole
        self.watch_msrs = engine.watch_msrs
        self.invalidate = engine.invalidate
        self._a20 = True
        self._debugged: tuple[Collection[int], Collection[Watchpoint]] = ((), ())

    def run(self, deadline: int) -> Stop:
        """Execute until `deadline`, HLT, a kick, or the end."""
        return self._stops[self._engine.run(deadline)]

    def map_ram(self, base: int, memory: mmap, offset: int, length: int) -> None:
        """Make part of `memory` the RAM at physical address `base`."""
        self._engine.map_ram(base, memory, offset, length)

    def set_a20(self, enabled: bool) -> None:
        """Open or close the A20 gate."""
        if enabled != self._a20:
            self._a20 = enabled
            self._engine.set_a20(enabled)

    def close(self) -> None:
        """Free the engine; nothing but the time can be asked for any more."""
        self._engine.close()

    @property
    def time(self) -> tuple[int, int]:
        """Ticks since power-on, and those of them that are no code."""
        time: tuple[int, int] = self._engine.time
        return time

    @time.setter
    def time(self, time: tuple[int, int]) -> None:
        self._engine.time = time

    @property
    def halted(self) -> bool:
        """The CPU is in HLT."""
        halted: bool = self._engine.halted
        return halted

    @property
    def interrupts_enabled(self) -> bool:
        """RFLAGS.IF."""
        return bool(self._get(self._layout.ENV_EFLAGS, 8) & RFLAGS_IF)

    @property
    def fault(self) -> str:
        """After Stop.FAULT: why, in Unicorn's words."""
        fault: str = self._engine.fault
        return fault

    # -- a debugger on the host's side ----------------------------------------------------

    def debug(self, breakpoints: Collection[int], watchpoints: Collection[Watchpoint]) -> None:
        """Stop at these instructions and after these accesses."""
        self._debugged = (breakpoints, watchpoints)
        self._engine.set_breakpoints(tuple(breakpoints))
        self._engine.set_watchpoints(
            tuple(
                (item.address, item.length, item.reads | item.writes << 1) for item in watchpoints
            )
        )

    def debug_from_here(self, step: bool) -> None:
        """Ignore a breakpoint at the next instruction; with `step` stop behind it."""
        self._engine.pass_here(step)

    @contextmanager
    def undebugged(self) -> Iterator[None]:
        """No breakpoints and watchpoints while this lasts."""
        debugged = self._debugged
        self.debug((), ())
        try:
            yield
        finally:
            self.debug(*debugged)

    @property
    def hit(self) -> tuple[Hit, int]:
        """After Stop.DEBUGGER: what happened, and where."""
        kind, address = self._engine.hit
        return Hit(kind), address

    @property
    def in_block(self) -> bool:
        """Stopped by the debugger where the engine alone would not stop."""
        return self._engine.in_block

    def write_general(self, register: int, value: int) -> None:
        """Change a general register."""
        self._set(self._layout.ENV_REGS + 8 * register, 8, value)

    def write_rip(self, value: int) -> None:
        """Go on elsewhere."""
        self._set(self._layout.ENV_EIP, 8, value)

    def write_rflags(self, value: int) -> None:
        """Change RFLAGS."""
        self._set(self._layout.ENV_EFLAGS, 8, value | 2)
        self._engine.derive()

    # -- architectural state --------------------------------------------------------------

    def read_state(self) -> CpuState:
        """The architectural state."""
        at = self._layout
        fpu = self._engine.peek(at.ENV_FPREGS, 8 * 16)
        xmm = self._engine.peek(at.ENV_XMM, 16 * XMM_STRIDE)
        tags = self._engine.peek(at.ENV_FPTAGS, 8)
        return CpuState(
            gpr=list(struct.unpack("<16Q", self._engine.peek(at.ENV_REGS, 128))),
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
            debug=list(struct.unpack("<8Q", self._engine.peek(at.ENV_DR, 64))),
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
                **{name: self._get(offset, 8) for name, offset in self._msr_offsets()},
            ),
            a20=self._a20,
            halted=self.halted,
            shadow=bool(self._get(at.ENV_HFLAGS, 4) & HFLAG_SHADOW),
            nmi_blocked=bool(self._get(at.ENV_HFLAGS2, 4) & HFLAG2_NMI_BLOCKED),
            nmi_pending=self._engine.nmi_pending,
        )

    def write_state(self, state: CpuState) -> None:
        """Replace the architectural state."""
        at = self._layout
        poke = self._engine.poke
        self._engine.forget()
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
        self._set(at.ENV_SMBASE, 4, 0x30000)
        self._set(at.ENV_HFLAGS, 4, HFLAG_SHADOW if state.shadow else 0)
        flags2 = self._get(at.ENV_HFLAGS2, 4)
        self._set(at.ENV_HFLAGS2, 4, flags2 | (HFLAG2_NMI_BLOCKED if state.nmi_blocked else 0))
        self._engine.derive()
        self._engine.set_a20(True)
        self._engine.set_a20(state.a20)
        self._a20 = state.a20
        self._engine.halted = state.halted
        if state.nmi_pending:
            self._engine.nmi()

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
        )

    def _get(self, offset: int, size: int) -> int:
        return int.from_bytes(self._engine.peek(offset, size), "little")

    def _set(self, offset: int, size: int, value: int) -> None:
        self._engine.poke(offset, value.to_bytes(size, "little"))

    def _segment(self, offset: int) -> Segment:
        selector, base, limit, attributes = SEGMENT_FORMAT.unpack(self._engine.peek(offset, 24))
        return Segment(selector & 0xFFFF, base, limit, attributes)

    def _task(self) -> Segment:
        """TR. Unicorn keeps it without the busy bit, which the register of a CPU always has."""
        task = self._segment(self._layout.ENV_TR)
        task.attributes |= TSS_BUSY
        return task

    def _table(self, offset: int) -> Table:
        _, base, limit, _ = SEGMENT_FORMAT.unpack(self._engine.peek(offset, 24))
        return Table(base, limit & 0xFFFF)

    @staticmethod
    def _pack_segment(segment: Segment) -> bytes:
        return SEGMENT_FORMAT.pack(
            segment.selector, segment.base, segment.limit, segment.attributes
        )
