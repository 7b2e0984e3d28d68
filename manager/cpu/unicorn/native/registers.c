/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control registers and model-specific registers: who keeps each, and which values a CPU refuses.
 *
 * Unicorn takes any value, and knows no register that does not exist. A guest that is meant to
 * get #GP(0) gets it here (Intel SDM vol. 3, 2.5 and vol. 4; vol. 2, MOV CR and WRMSR).
 */
#include "engine.h"

enum { MSR_TSC = 0x10, MSR_APIC_BASE = 0x1b, MSR_PAT = 0x277, MSR_TSC_DEADLINE = 0x6e0 };
enum { MSR_EFER = 0xc0000080 };
enum {
    MSR_MTRR_CAP = 0xfe,
    MSR_MTRR_VARIABLE = 0x200, /* base and mask in turn */
    MSR_MTRR_VARIABLE_LAST = 0x20f,
    MSR_MTRR_FIXED = 0x250,
    MSR_MTRR_FIXED_LAST = 0x26f,
    MSR_MTRR_DEFAULT = 0x2ff,
};
enum {
    MSR_SYSENTER_ESP = 0x175,
    MSR_SYSENTER_EIP = 0x176,
    MSR_LSTAR = 0xc0000082,
    MSR_CSTAR = 0xc0000083,
    MSR_FS_BASE = 0xc0000100,
    MSR_GS_BASE = 0xc0000101,
    MSR_KERNEL_GS_BASE = 0xc0000102,
    MSR_TSC_AUX = 0xc0000103,
};

/* ---- model-specific registers ---- */

/*
 * Who answers for a register. What is in no range does not exist. ZERO reads as zero and takes
 * every value: registers that kernels touch without a handler for #GP on the processors that the
 * models are of (Intel SDM vol. 4, AMD's BIOS and kernel developer's guides), and that do nothing
 * here.
 */
enum keeper { NONE, ZERO, UNICORN, MTRRS, PLATFORM };

static const struct msr_range {
    uint32_t first, last;
    enum keeper keeper;
} msr_ranges[] = {
    {0x0000001b, 0x0000001b, PLATFORM}, /* APIC_BASE */
    {0x00000017, 0x00000017, ZERO},     /* PLATFORM_ID */
    {0x0000002a, 0x0000002a, ZERO},     /* EBL_CR_POWERON */
    {0x0000002c, 0x0000002c, ZERO},     /* EBC_FREQUENCY_ID */
    {0x0000008b, 0x0000008b, ZERO},     /* microcode revision */
    {0x000000c1, 0x000000c2, ZERO},     /* P6 performance counters */
    {0x000000cd, 0x000000cd, ZERO},     /* FSB_FREQ */
    {0x000000fe, 0x000000fe, MTRRS},    /* MTRRCAP */
    {0x00000119, 0x00000119, ZERO},     /* BBL_CR_CTL */
    {0x0000011e, 0x0000011e, ZERO},     /* BBL_CR_CTL3 */
    {0x00000174, 0x00000176, UNICORN},  /* SYSENTER */
    {0x00000179, 0x00000179, ZERO},     /* MCG_CAP: no banks */
    {0x0000017a, 0x0000017a, ZERO},     /* MCG_STATUS */
    {0x00000186, 0x00000187, ZERO},     /* P6 event selection */
    {0x00000198, 0x00000198, UNICORN},  /* PERF_STATUS */
    {0x000001a0, 0x000001a0, UNICORN},  /* MISC_ENABLE */
    {0x000001d9, 0x000001d9, ZERO},     /* DEBUGCTL */
    {0x000001db, 0x000001de, ZERO},     /* last branch, last interrupt */
    {0x00000200, 0x0000020f, MTRRS},    /* of variable ranges */
    {0x00000250, 0x00000250, MTRRS},    /* of 64 KiB */
    {0x00000258, 0x00000259, MTRRS},    /* of 16 KiB */
    {0x00000268, 0x0000026f, MTRRS},    /* of 4 KiB */
    {0x00000277, 0x00000277, UNICORN},  /* PAT */
    {0x000002ff, 0x000002ff, MTRRS},    /* default type */
    {0x000006e0, 0x000006e0, PLATFORM}, /* TSC_DEADLINE */
    {0xc0000080, 0xc0000084, UNICORN},  /* EFER STAR LSTAR CSTAR FMASK */
    {0xc0000100, 0xc0000103, UNICORN},  /* FS, GS and kernel GS base, TSC_AUX */
    {0xc0010000, 0xc0010007, ZERO},     /* K7 performance counters */
    {0xc0010010, 0xc0010010, ZERO},     /* SYSCFG */
    {0xc0010015, 0xc001001a, ZERO},     /* HWCR, IORRs, TOP_MEM */
    {0xc001001d, 0xc001001d, ZERO},     /* TOP_MEM2 */
    {0xc001001f, 0xc001001f, ZERO},     /* NB_CFG */
    {0xc0010055, 0xc0010055, ZERO},     /* interrupt pending */
    {0xc0010058, 0xc0010058, ZERO},     /* MMIO configuration base */
    {0xc0010111, 0xc0010113, ZERO},     /* SMM base, TSEG */
    {0xc0010140, 0xc0010141, ZERO},     /* OSVW */
    {0xc0011020, 0xc001102f, ZERO},     /* core configuration */
};

static uint32_t features(void *env, int word)
{
    return (uint32_t)FIELD(uint64_t, env, ENV_FEATURES + 8 * word);
}

static enum keeper keeper_of(void *env, uint32_t number)
{
    enum { MTRR = 1 << 12 };
    enum keeper keeper = NONE;
    for (size_t i = 0; i < sizeof(msr_ranges) / sizeof(*msr_ranges); i++)
        if (number - msr_ranges[i].first <= msr_ranges[i].last - msr_ranges[i].first)
            keeper = msr_ranges[i].keeper;
    if (keeper == MTRRS)
        return features(env, FEAT_1_EDX) & MTRR ? UNICORN : NONE;
    if (number == MSR_TSC_DEADLINE && !(features(env, FEAT_1_ECX) & CPUID_TSC_DEADLINE))
        return NONE;
    return keeper;
}

/* Eight memory types, one a byte: UC WC WT WP WB UC-. */
static bool valid_pat(uint64_t value)
{
    for (; value != 0; value >>= 8)
        if ((value & 0xff) > 7 || (value & 0xff) == 2 || (value & 0xff) == 3)
            return false;
    return true;
}

/* UC WC WT WP WB */
static bool valid_mtrr_type(uint64_t type)
{
    return type < 7 && type != 2 && type != 3;
}

static bool valid_mtrr(uint32_t number, uint64_t value)
{
    enum { BASE_RESERVED = 0xf00, MASK_RESERVED = 0x7ff, DEFAULT_FLAGS = 0xc00 };
    if (number == MSR_MTRR_CAP)
        return false;
    if (number == MSR_MTRR_DEFAULT)
        return !(value & ~0xffull & ~(uint64_t)DEFAULT_FLAGS) && valid_mtrr_type(value & 0xff);
    if (number <= MSR_MTRR_VARIABLE_LAST) {
        if (value >> PHYSICAL_BITS)
            return false;
        return number & 1 ? !(value & MASK_RESERVED)
                          : !(value & BASE_RESERVED) && valid_mtrr_type(value & 0xff);
    }
    for (int shift = 0; shift < 64; shift += 8)
        if (!valid_mtrr_type(value >> shift & 0xff))
            return false;
    return true;
}

static bool valid_efer(void *env, uint64_t value)
{
    enum { SYSCALL = 1 << 11, NX = 1 << 20, FFXSR = 1 << 25, LONG_MODE = 1 << 29 };
    uint32_t have = features(env, FEAT_8000_0001_EDX);
    uint64_t allowed = (have & SYSCALL ? EFER_SCE : 0) | (have & NX ? EFER_NXE : 0) |
                       (have & FFXSR ? EFER_FFXSR : 0) |
                       (have & LONG_MODE ? EFER_LME | EFER_LMA : 0);
    bool paging = FIELD(uint64_t, env, ENV_CR) & CR0_PG;
    return !(value & ~allowed) &&
           !(paging && ((value ^ FIELD(uint64_t, env, ENV_EFER)) & EFER_LME));
}

static bool valid_msr(void *env, uint32_t number, uint64_t value)
{
    enum { APIC_BASE_FLAGS = 0x900 }; /* BSP, global enable; no x2APIC */
    if (number == MSR_MTRR_CAP || number == MSR_MTRR_DEFAULT ||
        (number >= MSR_MTRR_VARIABLE && number <= MSR_MTRR_VARIABLE_LAST) ||
        (number >= MSR_MTRR_FIXED && number <= MSR_MTRR_FIXED_LAST))
        return valid_mtrr(number, value);
    switch (number) {
    case MSR_APIC_BASE:
        return !(value & ~(((1ull << PHYSICAL_BITS) - 0x1000) | APIC_BASE_FLAGS));
    case MSR_PAT:
        return valid_pat(value);
    case MSR_EFER:
        return valid_efer(env, value);
    case MSR_SYSENTER_ESP:
    case MSR_SYSENTER_EIP:
    case MSR_LSTAR:
    case MSR_CSTAR:
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
        return canonical(value);
    case MSR_TSC_AUX:
        return !(value >> 32);
    default:
        return true;
    }
}

/* A trace gets every access, before one that is refused becomes #GP. */
static void tell(uint32_t number, uint64_t value, bool written, bool refused)
{
    struct engine *e = running_engine; /* NULL while selfcheck.c writes MSRs by the API */
    if (e != NULL && e->msr_watch != NULL)
        ask(e, e->msr_watch, 4, (uint64_t[]){number, value, written, refused});
}

EXPORT void helper_rdmsr_x86_64(void *env)
{
    uint32_t number = (uint32_t)*reg(env, R_RCX);
    enum keeper keeper = keeper_of(env, number);
    uint64_t value = 0;
    if (keeper == UNICORN) {
        unicorn.rdmsr(env);
        value = (uint32_t)*reg(env, R_RAX) | *reg(env, R_RDX) << 32;
    } else if (keeper == PLATFORM) {
        value = ask1(running_engine, CALL_READ_MSR, number);
    } else if (number == MSR_TSC) {
        value = running_engine->now / TICKS_PER_NS;
    } else if (keeper == NONE) {
        tell(number, 0, false, true);
        msr_refused(running_engine, number, 0, false, JIT_PC);
        unicorn.raise_exception(env, VECTOR_GP, 0, JIT_PC);
    }
    tell(number, value, false, false);
    *reg(env, R_RAX) = (uint32_t)value;
    *reg(env, R_RDX) = value >> 32;
}

EXPORT void helper_wrmsr_x86_64(void *env)
{
    uint32_t number = (uint32_t)*reg(env, R_RCX);
    uint64_t value = (uint32_t)*reg(env, R_RAX) | *reg(env, R_RDX) << 32;
    enum keeper keeper = keeper_of(env, number);
    /* The TSC cannot be set: it is virtual time. */
    bool refused = !valid_msr(env, number, value) || (keeper == NONE && number != MSR_TSC);
    tell(number, value, true, refused);
    if (refused) {
        msr_refused(running_engine, number, value, true, JIT_PC);
        unicorn.raise_exception(env, VECTOR_GP, 0, JIT_PC);
    }
    if (keeper == UNICORN)
        unicorn.wrmsr(env);
    else if (keeper == PLATFORM)
        ask2(running_engine, CALL_WRITE_MSR, number, value);
}

/* ---- control registers ---- */

static bool valid_cr0(void *env, uint64_t value, bool code64)
{
    bool paging = FIELD(uint64_t, env, ENV_CR) & CR0_PG;
    bool pae = FIELD(uint64_t, env, ENV_CR + 4 * 8) & CR4_PAE;
    if ((value & CR0_PG) && !(value & CR0_PE))
        return false;
    if ((value & CR0_NW) && !(value & CR0_CD))
        return false;
    if (!paging && (value & CR0_PG) && (FIELD(uint64_t, env, ENV_EFER) & EFER_LME) && !pae)
        return false;
    return !code64 || (!(value >> 32) && (value & CR0_PG));
}

static bool valid_cr4(void *env, uint64_t value)
{
    enum { TSC = 1 << 4, PAE = 1 << 6, PGE = 1 << 13, FXSR = 1 << 24, SSE = 1 << 25 };
    enum { VME = 1 << 1, DE = 1 << 2, PSE = 1 << 3 };
    enum { FSGSBASE = 1 << 0, SMEP = 1 << 7, SMAP = 1 << 20, XSAVE = 1 << 26 };
    uint32_t one = features(env, FEAT_1_EDX), seven = features(env, FEAT_7_0_EBX);
    uint64_t allowed = CR4_MCE | CR4_PCE;
    allowed |= one & VME ? CR4_VME | CR4_PVI : 0;
    allowed |= one & TSC ? CR4_TSD : 0;
    allowed |= one & DE ? CR4_DE : 0;
    allowed |= one & PSE ? CR4_PSE : 0;
    allowed |= one & PAE ? CR4_PAE : 0;
    allowed |= one & PGE ? CR4_PGE : 0;
    allowed |= one & FXSR ? CR4_OSFXSR : 0;
    allowed |= one & SSE ? CR4_OSXMMEXCPT : 0;
    allowed |= seven & FSGSBASE ? CR4_FSGSBASE : 0;
    allowed |= seven & SMEP ? CR4_SMEP : 0;
    allowed |= seven & SMAP ? CR4_SMAP : 0;
    allowed |= features(env, FEAT_1_ECX) & XSAVE ? CR4_OSXSAVE : 0;
    if (!(value & CR4_PAE) && (FIELD(uint64_t, env, ENV_EFER) & EFER_LMA))
        return false;
    return !(value & ~allowed);
}

EXPORT uint64_t helper_read_crN_x86_64(void *env, int number)
{
    return number == 8 ? ask0(running_engine, CALL_READ_CR8) : unicorn.read_cr(env, number);
}

EXPORT void helper_write_crN_x86_64(void *env, int number, uint64_t value)
{
    bool code64 = FIELD(uint32_t, env, ENV_HFLAGS) & HF_CS64;
    if (!code64)
        value = (uint32_t)value;
    if ((number == 0 && !valid_cr0(env, value, code64)) ||
        (number == 3 && value >> PHYSICAL_BITS) || (number == 4 && !valid_cr4(env, value)) ||
        (number == 8 && value > 15))
        unicorn.raise_exception(env, VECTOR_GP, 0, JIT_PC);
    if (number == 8)
        ask1(running_engine, CALL_WRITE_CR8, value);
    else
        unicorn.write_cr(env, number, value);
    if (number == 0)
        alignment_check_changed(env);
}
