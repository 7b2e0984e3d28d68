/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUID: what the CPU model claims and we have, and which of the CPUs it is.
 *
 * All CPUs are cores of one package, one thread each; the APIC id is the CPU's number (Intel SDM
 * vol. 2, CPUID; AMD APM vol. 3, appendix E). Unicorn counts cores itself, once told how many.
 */
#include "engine.h"

/*
 * What the CPU model claims and we do not have, or what would break determinism.
 *
 * What we add has to go with the rest of the model. A write to the TSC deadline is ordered by
 * MFENCE (Intel SDM vol. 3, 11.5.4.1), so guests take it for granted that SSE2 is there too. And
 * Unicorn gives long mode to 32-bit models, of which none has the SYSCALL that belongs to it.
 */
void correct_features(struct engine *e)
{
    enum { TSC = 1 << 4, MCE = 1 << 7, APIC = 1 << 9, MCA = 1 << 14, SSE2 = 1 << 26 };
    enum { SYSCALL = 1 << 11, LONG_MODE = 1 << 29, INVARIANT_TSC = 1 << 8 };
    uint64_t *features = &FIELD(uint64_t, e->env, ENV_FEATURES);
    features[FEAT_1_EDX] &= ~(uint64_t)(MCE | MCA);
    features[FEAT_1_EDX] |= APIC;
    features[FEAT_1_ECX] &= ~(uint64_t)(1u << 3 | 1u << 21 | 1u << 30); /* MONITOR x2APIC RDRAND */
    if (features[FEAT_1_EDX] & SSE2)
        features[FEAT_1_ECX] |= CPUID_TSC_DEADLINE;
    features[FEAT_7_0_EBX] &= ~(uint64_t)(1u << 14 | 1u << 18); /* MPX RDSEED */
    features[FEAT_7_0_ECX] &= ~(uint64_t)(1u << 3 | 1u << 16);  /* PKU, 57-bit addresses */
    features[FEAT_XSAVE_COMP_LO] &= 3;                          /* x87 SSE */
    features[FEAT_XSAVE_COMP_HI] = 0;
    if (!(features[FEAT_8000_0001_EDX] & SYSCALL))
        features[FEAT_8000_0001_EDX] &= ~(uint64_t)LONG_MODE;
    features[FEAT_8000_0001_ECX] &= ~(uint64_t)(1u << 2); /* SVM */
    if (features[FEAT_1_EDX] & TSC)
        features[FEAT_8000_0007_EDX] |= INVARIANT_TSC; /* at one rate, in HLT too */
}

void set_topology(struct engine *e)
{
    FIELD(int32_t, e->cs, CS_NR_CORES) = e->cpu_count;
}

EXPORT void helper_cpuid_x86_64(void *env)
{
    enum { FEATURES = 1, TOPOLOGY = 0xb, TOPOLOGY_V2 = 0x1f, AMD_TOPOLOGY = 0x8000001e };
    enum { APIC = 1 << 9, MSR_APIC_BASE = 0x1b, APIC_ENABLED = 1 << 11 };
    uint32_t leaf = (uint32_t)*reg(env, R_RAX), id = (uint32_t)running_engine->current->number;
    uint32_t eax, ebx, ecx, edx;
    unicorn.cpuid(env, leaf, (uint32_t)*reg(env, R_RCX), &eax, &ebx, &ecx, &edx);
    switch (leaf) {
    case FEATURES:
        ebx = (ebx & 0xffffff) | id << 24;
        if (!(ask1(running_engine, CALL_READ_MSR, MSR_APIC_BASE) & APIC_ENABLED))
            edx &= ~(uint32_t)APIC;
        break;
    case TOPOLOGY:
    case TOPOLOGY_V2:
        edx = edx != 0 || ecx != 0 ? id : 0;
        break;
    case AMD_TOPOLOGY:
        eax = id;
        break;
    }
    *reg(env, R_RAX) = eax;
    *reg(env, R_RBX) = ebx;
    *reg(env, R_RCX) = ecx;
    *reg(env, R_RDX) = edx;
}
