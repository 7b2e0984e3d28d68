# SPDX-License-Identifier: BSD-2-Clause
"""The CPU's architectural state, by the names of the Intel SDM. A default record is a CPU at reset.

Sources: Intel SDM vol. 3, 10.1.1 (processor state after reset), 3.4.3 (hidden segment parts).
"""

from __future__ import annotations

from typing import ClassVar

from manager.bus.record import Plain, Record, flag, integer, ints, nested, octets, uint
from manager.lazy import dataclass


@dataclass(slots=True)
class Segment(Record):
    """A segment register with its hidden descriptor cache."""

    selector: int = uint(16, "visible part")
    base: int = uint(64, "linear base address")
    limit: int = uint(32, "limit in bytes, scaled", 0xFFFF)
    attributes: int = uint(32, "bits 8-23 of the descriptor's second word, in place")


@dataclass(slots=True)
class Table(Record):
    """GDTR or IDTR."""

    base: int = uint(64, "linear base address")
    limit: int = uint(16, "limit in bytes", 0xFFFF)


@dataclass(slots=True)
class Fpu(Record):
    """x87 state."""

    control: int = uint(16, "control word", 0x37F)
    status: int = uint(16, "status word without TOP")
    top: int = integer(0, 7, "top of the register stack")
    empty: int = uint(8, "bit n: physical register n is empty", 0xFF)
    registers: bytearray = octets(80, 80, "eight physical registers of 10 bytes", bytes(80))
    instruction: int = uint(64, "offset of the last x87 instruction")
    instruction_cs: int = uint(16, "its CS")
    operand: int = uint(64, "offset of the last x87 memory operand")
    operand_ds: int = uint(16, "its segment")


@dataclass(slots=True)
class Msrs(Record):
    """Model-specific registers that the guest can write."""

    sysenter_cs: int = uint(32, "IA32_SYSENTER_CS")
    sysenter_esp: int = uint(64, "IA32_SYSENTER_ESP")
    sysenter_eip: int = uint(64, "IA32_SYSENTER_EIP")
    star: int = uint(64, "IA32_STAR")
    lstar: int = uint(64, "IA32_LSTAR")
    cstar: int = uint(64, "IA32_CSTAR")
    fmask: int = uint(64, "IA32_FMASK")
    kernel_gs_base: int = uint(64, "IA32_KERNEL_GS_BASE")
    tsc_aux: int = uint(64, "IA32_TSC_AUX")
    pat: int = uint(64, "IA32_PAT", 0x0007040600070406)
    misc_enable: int = uint(64, "IA32_MISC_ENABLE", 1)
    mtrr_default: int = uint(64, "IA32_MTRR_DEF_TYPE")
    mtrr_fixed: list[int] = ints(11, 64, "IA32_MTRR_FIX64K, FIX16K and FIX4K, in order of address")
    mtrr_base: list[int] = ints(8, 64, "IA32_MTRR_PHYSBASE0-7")
    mtrr_mask: list[int] = ints(8, 64, "IA32_MTRR_PHYSMASK0-7")


def _with_mtrrs(old: dict[str, Plain]) -> dict[str, Plain]:
    msr = old["msr"]
    assert isinstance(msr, dict)
    none: dict[str, Plain] = {
        "mtrr_default": 0,
        "mtrr_fixed": [0] * 11,
        "mtrr_base": [0] * 8,
        "mtrr_mask": [0] * 8,
    }
    return {**old, "msr": {**msr, **none}}


_RFLAGS = "CF ~ PF - AF - ZF SF TF IF DF OF IOPL0 IOPL1 NT - RF VM AC VIF VIP ID"
_CR0 = "PE MP EM TS ET NE - - - - - - - - - - WP - AM - - - - - - - - - - NW CD PG"
_CR4 = (
    "VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT UMIP LA57 - - - FSGSBASE PCIDE OSXSAVE "
    "- SMEP SMAP PKE"
)
_EFER = "SCE - - - - - - - LME - LMA NXE"
_MXCSR = "IE DE ZE OE UE PE DAZ IM DM ZM OM UM PM RC0 RC1 FZ"
"""Names of bits, from bit 0 on: see manager.bus.record.Spec."""


@dataclass(slots=True)
class CpuState(Record):
    """One x86-64 processor."""

    TYPE: ClassVar[str] = "cpu.x86"
    VERSION: ClassVar[int] = 3
    """Since 3, results of the x87 functions are this program's own, and no longer the host's."""
    UPGRADES = {1: _with_mtrrs, 2: dict}

    gpr: list[int] = ints(16, 64, "RAX RCX RDX RBX RSP RBP RSI RDI R8-R15")
    rip: int = uint(64, "offset of the next instruction in CS", 0xFFF0)
    rflags: int = uint(64, "RFLAGS", 0x2, names=_RFLAGS)
    es: Segment = nested(Segment, "ES")
    cs: Segment = nested(Segment, "CS")
    ss: Segment = nested(Segment, "SS")
    ds: Segment = nested(Segment, "DS")
    fs: Segment = nested(Segment, "FS")
    gs: Segment = nested(Segment, "GS")
    ldtr: Segment = nested(Segment, "LDTR")
    tr: Segment = nested(Segment, "TR")
    gdtr: Table = nested(Table, "GDTR")
    idtr: Table = nested(Table, "IDTR")
    cr0: int = uint(64, "CR0", 0x60000010, names=_CR0)
    cr2: int = uint(64, "CR2: address of the last page fault")
    cr3: int = uint(64, "CR3: page table root")
    cr4: int = uint(64, "CR4", names=_CR4)
    efer: int = uint(64, "IA32_EFER", names=_EFER)
    xcr0: int = uint(64, "XCR0", 1, names="X87 SSE AVX")
    debug: list[int] = ints(8, 64, "DR0-DR7; DR4 and DR5 unused")
    fpu: Fpu = nested(Fpu, "x87")
    mxcsr: int = uint(32, "MXCSR", 0x1F80, names=_MXCSR)
    xmm: bytearray = octets(256, 256, "XMM0-XMM15 of 16 bytes", bytes(256))
    msr: Msrs = nested(Msrs, "model-specific registers")
    a20: bool = flag("the A20 gate lets address line 20 through", True)
    halted: bool = flag("in HLT, waiting for an interrupt")
    shadow: bool = flag("the instruction before was STI or MOV SS: interrupts wait for one more")
    nmi_blocked: bool = flag("in an NMI handler until IRET")
    nmi_pending: bool = flag("an NMI waits to be taken")

    @staticmethod
    def at_reset() -> CpuState:
        """The state after RESET: real mode, first instruction at F000:FFF0 under 4 GiB."""
        state = CpuState()
        for segment in (state.es, state.ss, state.ds, state.fs, state.gs):
            segment.attributes = 0x9300
        state.cs = Segment(0xF000, 0xFFFF0000, 0xFFFF, 0x9B00)
        state.ldtr.attributes = 0x8200
        state.tr.attributes = 0x8B00
        state.debug[6], state.debug[7] = 0xFFFF0FF0, 0x400
        return state
