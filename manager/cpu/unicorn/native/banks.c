/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several CPUs on one engine of Unicorn's, which has room for one.
 *
 * The CPU whose turn it is has its state where Unicorn looks for it. The others are parked: their
 * registers, their soft TLBs and the few fields of CPUState that belong to a CPU are copies beside.
 * Translated code is of physical pages, so all CPUs share it, and code that one changes is changed
 * for all. The jump cache goes by virtual address and is emptied at each change.
 */
#include <stdlib.h>
#include <string.h>

#include "engine.h"

/* What a parked CPU is. The TLB's own tables stay where they are, named by pointers in `tlb`. */
struct bank {
    char env[ENV_UC];
    char tlb[TLB_SIZE];
    uint32_t interrupt_request;
    uint32_t halted;
    int32_t exception_index;
    bool tlb_stale; /* what the TLB says may no longer be so */
};

bool bank_make(struct cpu *c)
{
    struct engine *e = c->engine;
    char live[TLB_SIZE];
    if ((c->parked = malloc(sizeof(*c->parked))) == NULL) {
        PyErr_NoMemory();
        return false;
    }
    memcpy(c->parked->env, e->env, ENV_UC);
    memcpy(live, e->env + ENV_TLB, TLB_SIZE);
    unicorn.tlb_init(e->cs);
    memcpy(c->parked->tlb, e->env + ENV_TLB, TLB_SIZE);
    memcpy(e->env + ENV_TLB, live, TLB_SIZE);
    c->parked->interrupt_request = c->parked->halted = 0;
    c->parked->exception_index = -1;
    c->parked->tlb_stale = false;
    return true;
}

/* Unicorn frees the tables of the one CPU that it knows of. */
void bank_free(struct cpu *c)
{
    struct bank *bank = c->parked;
    c->parked = NULL;
    for (int mode = 0; bank != NULL && mode < MMU_MODES; mode++) {
        free(FIELD(void *, bank->tlb, TLB_TABLE(mode)));
        free(FIELD(void *, bank->tlb, TLB_IOTLB(mode)));
    }
    free(bank);
}

char *cpu_env(const struct cpu *c)
{
    return c->parked != NULL ? c->parked->env : c->engine->env;
}

uint32_t *cpu_request(const struct cpu *c)
{
    return c->parked != NULL ? &c->parked->interrupt_request
                             : &FIELD(uint32_t, c->engine->cs, CS_INTERRUPT_REQUEST);
}

uint32_t *cpu_halted(const struct cpu *c)
{
    return c->parked != NULL ? &c->parked->halted : &FIELD(uint32_t, c->engine->cs, CS_HALTED);
}

int32_t *cpu_exception(const struct cpu *c)
{
    return c->parked != NULL ? &c->parked->exception_index
                             : &FIELD(int32_t, c->engine->cs, CS_EXCEPTION_INDEX);
}

uint64_t take_breakpoints_off(struct engine *e)
{
    uint64_t dr7 = FIELD(uint64_t, e->env, ENV_DR + 7 * 8);
    if (dr7 & DR7_ENABLED)
        unicorn.update_dr7(e->env, 0);
    return dr7;
}

void put_breakpoints_on(struct engine *e, uint64_t dr7)
{
    if (dr7 & DR7_ENABLED) {
        FIELD(uint64_t, e->env, ENV_DR + 7 * 8) = 0; /* so that each is new */
        unicorn.update_dr7(e->env, (uint32_t)dr7);
    }
}

void bank_switch(struct engine *e, struct cpu *next)
{
    struct cpu *before = e->current;
    struct bank *bank = next->parked;
    bool running = running_engine == e; /* then RFLAGS are split: see layout.h */
    if (next == before)
        return;
    if (running)
        unicorn.exec_exit(e->cs);
    uint64_t dr7 = take_breakpoints_off(e);

    uint64_t *next_dr7 = &FIELD(uint64_t, bank->env, ENV_DR + 7 * 8), to_enable = *next_dr7;
    struct bank kept = {
        .interrupt_request = FIELD(uint32_t, e->cs, CS_INTERRUPT_REQUEST),
        .halted = FIELD(uint32_t, e->cs, CS_HALTED),
        .exception_index = FIELD(int32_t, e->cs, CS_EXCEPTION_INDEX),
    };
    memcpy(kept.env, e->env, ENV_UC);
    memcpy(kept.tlb, e->env + ENV_TLB, TLB_SIZE);
    FIELD(uint64_t, kept.env, ENV_DR + 7 * 8) = dr7;

    memcpy(e->env, bank->env, ENV_UC);
    memcpy(e->env + ENV_TLB, bank->tlb, TLB_SIZE);
    FIELD(uint32_t, e->cs, CS_INTERRUPT_REQUEST) = bank->interrupt_request;
    FIELD(uint32_t, e->cs, CS_HALTED) = running ? 0 : bank->halted; /* an interrupt ends HLT */
    FIELD(int32_t, e->cs, CS_EXCEPTION_INDEX) = bank->exception_index;
    memset(e->cs + CS_JMP_CACHE, 0, JMP_CACHE_SIZE);
    bool stale = bank->tlb_stale || !e->keep_tlbs;

    *bank = kept;
    before->parked = bank;
    next->parked = NULL;
    e->current = next;
    put_breakpoints_on(e, to_enable);
    if (stale)
        unicorn.tlb_flush(e->cs);
    if (running)
        unicorn.exec_enter(e->cs);
}

void flush_tlbs(struct engine *e)
{
    unicorn.tlb_flush(e->cs);
    for (int n = 0; n < e->cpu_count; n++)
        if (e->cpus[n]->parked != NULL)
            e->cpus[n]->parked->tlb_stale = true;
}

void set_a20(struct engine *e, bool open)
{
    unicorn.set_a20(e->cs, open);
    for (int n = 0; n < e->cpu_count; n++) {
        struct bank *bank = e->cpus[n]->parked;
        if (bank == NULL)
            continue;
        FIELD(uint32_t, bank->env, ENV_A20_MASK) = FIELD(uint32_t, e->env, ENV_A20_MASK);
        bank->tlb_stale = true;
    }
}

void reset_dirty(struct engine *e, uintptr_t host, uint64_t length)
{
    char live[TLB_SIZE];
    unicorn.tlb_reset_dirty(e->cs, host, length);
    if (e->cpu_count == 1)
        return;
    memcpy(live, e->env + ENV_TLB, TLB_SIZE);
    for (int n = 0; n < e->cpu_count; n++) {
        struct bank *bank = e->cpus[n]->parked;
        if (bank == NULL || bank->tlb_stale)
            continue;
        memcpy(e->env + ENV_TLB, bank->tlb, TLB_SIZE);
        unicorn.tlb_reset_dirty(e->cs, host, length);
        memcpy(bank->tlb, e->env + ENV_TLB, TLB_SIZE);
    }
    memcpy(e->env + ENV_TLB, live, TLB_SIZE);
}
