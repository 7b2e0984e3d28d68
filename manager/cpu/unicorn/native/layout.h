/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where Unicorn 2.1.4 keeps what its public API does not show.
 *
 * Offsets in bytes into CPUX86State (`env`), CPUState (`cs`), CPUClass and TCGContext of the x86-64 target on
 * x86-64 Linux. They came from compiling the declarations of tag v2.1.4 (qemu/target/i386/cpu.h,
 * qemu/include/hw/core/cpu.h) with offsetof, and from looking for written values in a live engine.
 * selfcheck.c proves each of them before the first guest instruction; docs/engine.md tells how.
 */
#ifndef VMMGR_LAYOUT_H
#define VMMGR_LAYOUT_H

#include <stdint.h>

#define UNICORN_VERSION 0x02010400 /* uc_version() of 2.1.4, extra byte cleared */

/* env */
enum {
    ENV_REGS = 0x0, /* RAX RCX RDX RBX RSP RBP RSI RDI R8-R15 */
    ENV_EIP = 0x80,
    ENV_EFLAGS = 0x88, /* complete between runs; split into cc_* while running */
    ENV_CC_SRC = 0x98,
    ENV_CC_OP = 0xa8,
    ENV_DF = 0xac,
    ENV_HFLAGS = 0xb0,
    ENV_HFLAGS2 = 0xb4,
    ENV_SEGS = 0xb8, /* ES CS SS DS FS GS */
    ENV_LDT = 0x148,
    ENV_TR = 0x160,
    ENV_GDT = 0x178,
    ENV_IDT = 0x190,
    ENV_CR = 0x1a8,
    ENV_A20_MASK = 0x1f0,
    ENV_EFER = 0x250,
    ENV_FPSTT = 0x25c,
    ENV_FPUS = 0x260,
    ENV_FPUC = 0x262,
    ENV_FPTAGS = 0x264,
    ENV_FPREGS = 0x270, /* 8 slots of 16 bytes, 10 used */
    ENV_FPCS = 0x2f2,
    ENV_FPDS = 0x2f4,
    ENV_FPIP = 0x2f8,
    ENV_FPDP = 0x300,
    ENV_MXCSR = 0x330,
    ENV_XMM = 0x338, /* slots of 64 bytes, 16 used: no AVX in this engine */
    ENV_SYSENTER_CS = 0x12c0,
    ENV_SYSENTER_ESP = 0x12c8,
    ENV_SYSENTER_EIP = 0x12d0,
    ENV_STAR = 0x12d8,
    ENV_LSTAR = 0x12e8,
    ENV_CSTAR = 0x12f0,
    ENV_FMASK = 0x12f8,
    ENV_KERNELGSBASE = 0x1300,
    ENV_TSC_AUX = 0x1320,
    ENV_XCR0 = 0x1328,
    ENV_MISC_ENABLE = 0x1338,
    ENV_PAT = 0x14a0,
    ENV_SMBASE = 0x14a8,
    ENV_ERROR_CODE = 0x1508,
    ENV_EXCEPTION_IS_INT = 0x150c,
    ENV_NEXT_EIP = 0x1510,
    ENV_DR = 0x1518,
    ENV_OLD_EXCEPTION = 0x1578,
    ENV_FEATURES = 0x1600, /* CPUID feature words of 8 bytes */
    ENV_MTRR_FIXED = 0x18b0, /* 11 of them: 64K, two 16K, eight 4K */
    ENV_MTRR_DEFAULT = 0x1908,
    ENV_MTRR_VARIABLE = 0x1910, /* 8 pairs of base and mask */
    ENV_UC = 0x1b58, /* what lies before it is the CPU's own */
};

/* The soft TLB, before env: flags, a description for each MMU mode, then for each the size and
 * the place of its table, which translated code looks into. */
enum {
    ENV_TLB = -0x890,
    ENV_TLB_FAST = -0x40, /* (mask, table) for each mode */
    TLB_SIZE = 0x880,
    MMU_MODES = 3,
};
#define TLB_TABLE(mode) (ENV_TLB_FAST - ENV_TLB + 16 * (mode) + 8)
#define TLB_IOTLB(mode) (0x2d0 + 0x2b8 * (mode))

/* One segment register and its hidden part. */
struct segment {
    uint32_t selector;
    uint32_t pad0;
    uint64_t base;
    uint32_t limit;
    uint32_t flags; /* bits 8-23 of the descriptor's second word */
};

/* cs */
enum {
    CS_NR_CORES = 0x0,
    CS_STOPPED = 0x12,
    CS_CFLAGS_NEXT_TB = 0x18,
    CS_INTERRUPT_REQUEST = 0x1c,
    CS_ENV_PTR = 0x128,
    CS_JMP_CACHE = 0x138, /* blocks by virtual address, 4096 pointers */
    CS_MEM_IO_PC = 0x8178, /* where translated code last accessed a device in memory */
    CS_HALTED = 0x8198,
    CS_EXCEPTION_INDEX = 0x81a0,
    CS_UC = 0x81a8,
    CS_CLASS = 0x81b0,
    CS_TO_ENV = 0x8a50,
};

/* CPUClass */
enum {
    CLASS_DO_INTERRUPT = 0x10,
    CLASS_DO_UNALIGNED_ACCESS = 0x18,
    CLASS_EXEC_INTERRUPT = 0x90,
};

/* DisasContextBase, of a block that is being translated */
enum {
    DB_PC_NEXT = 0x10,
    DB_IS_JMP = 0x18,
};

/* TCGContext, while a block is translated: temporaries and operations so far. */
enum {
    TCG_NB_TEMPS = 0x30,
    TCG_NB_OPS = 0x38,
};
enum { TCG_TEMPS_MAX = 512, TCG_OPS_FULL = 4000 }; /* the translator ends the block at the second */

/* hflags and hflags2, as target/i386/cpu.h names them */
#define HF_CPL_MASK 0x3u
#define HF_CS32 0x10u
#define HF_PE 0x80u
#define HF_CS64 0x8000u
#define HF_INHIBIT_IRQ 0x8u
#define HF_SMAP 0x800000u
/* Bits of hflags that Unicorn does not use. They are part of what tells blocks apart; see
 * segments.c and operands.c. */
#define HF_ODD_DATA 0x08000000u /* DS, ES or SS is not flat */
#define HF_ODD_FS 0x10000000u
#define HF_ODD_GS 0x20000000u
#define HF_ODD_CS 0x40000000u
#define HF_ODD (HF_ODD_DATA | HF_ODD_FS | HF_ODD_GS | HF_ODD_CS)
#define HF_ALIGN 0x80000000u /* CR0.AM */
#define HF2_GIF 0x1u
#define HF2_NMI_MASKED 0x4u

#define EFLAGS_TF 0x100u
#define EFLAGS_IF 0x200u
#define EFLAGS_VM 0x20000u
#define EFLAGS_RF 0x10000u
#define EFLAGS_AC 0x40000u
#define EFLAGS_IOPL(flags) ((flags) >> 12 & 3u)

#define CR0_PE 0x1u
#define CR0_EM 0x4u
#define CR0_TS 0x8u
#define CR0_NE 0x20u
#define CR0_AM 0x40000u
#define CR0_NW 0x20000000u
#define CR0_CD 0x40000000u
#define CR0_PG 0x80000000u

#define CR4_VME 0x1u
#define CR4_PVI 0x2u
#define CR4_TSD 0x4u
#define CR4_DE 0x8u
#define CR4_PSE 0x10u
#define CR4_PAE 0x20u
#define CR4_MCE 0x40u
#define CR4_PGE 0x80u
#define CR4_PCE 0x100u
#define CR4_OSFXSR 0x200u
#define CR4_OSXMMEXCPT 0x400u
#define CR4_UMIP 0x800u
#define CR4_FSGSBASE 0x10000u
#define CR4_OSXSAVE 0x40000u
#define CR4_SMEP 0x100000u
#define CR4_SMAP 0x200000u

#define EFER_SCE 0x1u
#define EFER_LME 0x100u
#define EFER_LMA 0x400u
#define EFER_NXE 0x800u
#define EFER_FFXSR 0x4000u

#define DR7_ENABLED 0xffu

enum { JMP_CACHE_SIZE = 0x8000 };

#define INTERRUPT_HARD 0x2u
#define INTERRUPT_NMI 0x200u

#define EXCP_INTERRUPT 0x10000

/* How a block is to be translated: its instructions at most, if not 0. */
enum { ONE_INSTRUCTION = 1, COUNT_MASK = 0x7fff };

enum { R_RAX = 0, R_RCX = 1, R_RDX = 2, R_RBX = 3, R_RSP = 4, R_RBP = 5, R_R11 = 11 };
enum { SEG_CS = 1, SEG_SS = 2 };
enum { VECTOR_SS = 12, VECTOR_MF = 16, VECTOR_AC = 17 };
enum { NO_VECTOR = -1, VECTOR_DB = 1, VECTOR_NMI = 2, VECTOR_UD = 6, VECTOR_NP = 11, VECTOR_GP = 13, VECTOR_PF = 14 };

/* How many bits a physical address has, as CPUID tells. */
enum { PHYSICAL_BITS = 40 };

/* Feature words whose bits we take back (indices into ENV_FEATURES). */
enum {
    FEAT_1_EDX = 0,
    FEAT_1_ECX = 1,
    FEAT_7_0_EBX = 2,
    FEAT_7_0_ECX = 3,
    FEAT_8000_0001_EDX = 6,
    FEAT_8000_0001_ECX = 7,
    FEAT_8000_0007_EDX = 8,
    FEAT_XSAVE_COMP_LO = 21,
    FEAT_XSAVE_COMP_HI = 22,
};

/* Bits of FEAT_1_ECX. */
enum { CPUID_TSC_DEADLINE = 1 << 24 };

#define FIELD(type, base, offset) (*(type *)((char *)(base) + (offset)))

/* A function of ours that takes the place of Unicorn's, and where it was called from. */
#define EXPORT __attribute__((visibility("default")))
#define JIT_PC ((uintptr_t)__builtin_return_address(0))

static inline uint64_t *reg(void *env, int index)
{
    return &FIELD(uint64_t, env, ENV_REGS + 8 * index);
}

#endif
