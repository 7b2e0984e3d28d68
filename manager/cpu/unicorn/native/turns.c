/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose turn it is. CPUs run one after the other on one clock: a turn lasts a quantum at most while
 * another CPU has something to do, and for ever while none has. It ends early at HLT, and at PAUSE
 * and at the sending of an interrupt to another CPU.
 *
 * What decides is the state of the machine at points of virtual time, and never how a run was cut
 * into slices: the end of a turn is a time that outlives the run, and whether others wait is asked
 * when a turn begins and when a pin of a parked CPU changes, not when a run begins.
 */
#include "engine.h"

static bool runnable(const struct cpu *c)
{
    if (c->waiting)
        return false;
    return !*cpu_halted(c) || takes(cpu_env(c), *cpu_request(c));
}

/* The next CPU in turn that has something to do, or NULL if none but the present one may have. */
static struct cpu *next_runnable(const struct engine *e)
{
    for (int step = 1; step < e->cpu_count; step++) {
        struct cpu *c = e->cpus[(e->current->number + step) % e->cpu_count];
        if (runnable(c))
            return c;
    }
    return NULL;
}

static void begin_turn(struct engine *e)
{
    e->turn_end = next_runnable(e) != NULL ? e->now + e->quantum : NEVER;
}

void first_turn(struct engine *e)
{
    bank_switch(e, e->cpus[0]);
    begin_turn(e);
}

bool engine_idle(const struct engine *e)
{
    return !runnable(e->current) && (e->cpu_count == 1 || next_runnable(e) == NULL);
}

bool take_turn(struct engine *e)
{
    if (runnable(e->current))
        return true;
    struct cpu *next = next_runnable(e);
    if (next == NULL)
        return false;
    bank_switch(e, next);
    begin_turn(e);
    return true;
}

bool end_turn_if_due(struct engine *e)
{
    if (e->now < e->turn_end)
        return false;
    struct cpu *next = next_runnable(e);
    if (next != NULL)
        bank_switch(e, next);
    begin_turn(e);
    return next != NULL;
}

void yield_turn(struct engine *e)
{
    if (e->turn_end != NEVER) {
        e->turn_end = e->now;
        e->attention = 0;
    }
}

void cpu_woken(struct cpu *c)
{
    struct engine *e = c->engine;
    if (c != e->current && e->turn_end == NEVER && runnable(c)) {
        e->turn_end = e->now + e->quantum;
        e->attention = 0;
    }
}
