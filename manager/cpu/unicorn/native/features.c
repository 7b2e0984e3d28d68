/* SPDX-License-Identifier: BSD-2-Clause */
/* What CPUID may claim. */
#include "engine.h"

/* What the CPU model claims and we do not have, or what would break determinism. */
void correct_features(struct engine *e)
{
    uint64_t *features = &FIELD(uint64_t, e->env, ENV_FEATURES);
    features[FEAT_1_EDX] &= ~(uint64_t)(1 << 7 | 1 << 14); /* MCE MCA */
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
