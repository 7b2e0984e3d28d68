/* SPDX-License-Identifier: BSD-2-Clause */
/* Before the first guest instruction: is this the Unicorn we know, and what may its CPU claim? */
#include "engine.h"

enum { UC_X86_REG_CR3 = 53, UC_X86_REG_RAX = 35, UC_X86_REG_RIP = 41, UC_X86_REG_MSR = 248 };

static bool reads_back(struct engine *e, int reg, int offset, uint64_t pattern)
{
    uint64_t seen = 0;
    uint64_t before = FIELD(uint64_t, e->env, offset);
    FIELD(uint64_t, e->env, offset) = pattern;
    unicorn.reg_read(e->uc, reg, &seen);
    FIELD(uint64_t, e->env, offset) = before;
    return seen == pattern;
}

static bool msr_reads_back(struct engine *e, uint32_t id, int offset, uint64_t pattern)
{
    struct {
        uint32_t id;
        uint64_t value;
    } msr = {id, pattern};
    unicorn.reg_write(e->uc, UC_X86_REG_MSR, &msr);
    bool right = FIELD(uint64_t, e->env, offset) == pattern;
    FIELD(uint64_t, e->env, offset) = 0;
    return right;
}

const char *layout_mistake(struct engine *e)
{
    char *class = FIELD(char *, e->cs, CS_CLASS);
    if (FIELD(char *, e->cs, CS_ENV_PTR) != e->env)
        return "the CPU state is elsewhere";
    if (FIELD(void *, e->cs, CS_UC) != e->uc || FIELD(void *, e->env, ENV_UC) != e->uc)
        return "the back pointers are elsewhere";
    if (FIELD(void *, class, CLASS_DO_INTERRUPT) != (void *)unicorn.do_interrupt)
        return "the CPU class is laid out otherwise";
    if (!reads_back(e, UC_X86_REG_RAX, ENV_REGS, 0x1122334455667788) ||
        !reads_back(e, UC_X86_REG_RIP, ENV_EIP, 0x8877665544332211))
        return "the general registers are elsewhere";
    if (!reads_back(e, UC_X86_REG_CR3, ENV_CR + 3 * 8, 0x123456789000))
        return "the control registers are elsewhere";
    if (!msr_reads_back(e, 0xc0000081, ENV_STAR, 0x1234567890abcdef) ||
        !msr_reads_back(e, 0xc0000082, ENV_LSTAR, 0xffff897890abcdef) ||
        !msr_reads_back(e, 0xc0000084, ENV_FMASK, 0x4700) ||
        !msr_reads_back(e, 0xc0000102, ENV_KERNELGSBASE, 0x5678123490ab) ||
        !msr_reads_back(e, 0x00000277, ENV_PAT, 0x0007040600070406))
        return "the model-specific registers are elsewhere";
    return NULL;
}

/* The class must hold our function, else libunicorn was bound before we were there. */
bool interposed(struct engine *e)
{
    extern bool x86_cpu_exec_interrupt_x86_64(void *, int);
    char *class = FIELD(char *, e->cs, CS_CLASS);
    return FIELD(void *, class, CLASS_EXEC_INTERRUPT) == (void *)x86_cpu_exec_interrupt_x86_64;
}

/* What the CPU model claims and we do not have, or what would break determinism. */
void correct_features(struct engine *e)
{
    uint64_t *features = &FIELD(uint64_t, e->env, ENV_FEATURES);
    features[FEAT_1_EDX] &= ~(uint64_t)(1 << 7 | 1 << 12 | 1 << 14); /* MCE MTRR MCA */
    features[FEAT_1_EDX] |= 1 << 9;                                  /* APIC */
    features[FEAT_1_ECX] &= ~(uint64_t)(1u << 3 | 1u << 21 | 1u << 30); /* MONITOR x2APIC RDRAND */
    features[FEAT_1_ECX] |= 1u << 24;                                   /* TSC-deadline timer */
    features[FEAT_7_0_EBX] &= ~(uint64_t)(1u << 14 | 1u << 18); /* MPX RDSEED */
    features[FEAT_7_0_ECX] &= ~(uint64_t)(1u << 3 | 1u << 16);  /* PKU, 57-bit addresses */
    features[FEAT_XSAVE_COMP_LO] &= 3;                          /* x87 SSE */
    features[FEAT_XSAVE_COMP_HI] = 0;
    features[FEAT_8000_0001_ECX] &= ~(uint64_t)(1u << 2);       /* SVM */
    features[FEAT_8000_0007_EDX] |= 1u << 8; /* the TSC runs at one rate, in HLT too */
}
