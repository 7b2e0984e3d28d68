/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose turn it is. CPUs run one after the other on one clock: a turn lasts a quantum at most while
 * another CPU has something to do, and for ever while none has. It ends early at HLT, and at PAUSE
 * and at the sending of an interrupt to another CPU.
 *
 * With a seed, a generator draws how long each turn is and whose is next, and a turn may end between
 * any two instructions: the block in which it ends is cut, and runs on when the CPU has its next
 * turn. Interrupts wait for a time that is drawn, too, and come in between any two instructions.
 *
 * What decides is the state of the machine at points of virtual time, and never how a run was cut
 * into slices: the end of a turn is a time that outlives the run, and whether others wait is asked
 * when a turn begins and when a pin of a parked CPU changes, not when a run begins.
 */
#include "engine.h"

enum { LONGEST_BLOCK = 8192 }; /* bytes: 512 instructions of 15 */
enum { SELDOM_LOOKS = 32768 }; /* ticks; the dearest instruction costs the host a microsecond or two */

/* The next number of the generator, below `limit`. It is SplitMix64 by position (Steele, Lea and
 * Flood, "Fast Splittable Pseudorandom Number Generators", 2014), so its state is a count. */
static uint64_t draw(struct engine *e, uint64_t limit)
{
    uint64_t z = e->seed + ++e->draws * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % limit;
}

static bool runnable(const struct cpu *c)
{
    if (c->waiting)
        return false;
    return !*cpu_halted(c) || takes(c, cpu_env(c), *cpu_request(c));
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

/* Any of them, by the generator. */
static struct cpu *drawn_runnable(struct engine *e)
{
    struct cpu *found[CPUS_MAX];
    uint64_t count = 0;
    for (int n = 0; n < e->cpu_count; n++)
        if (e->cpus[n] != e->current && runnable(e->cpus[n]))
            found[count++] = e->cpus[n];
    return count > 0 ? found[count > 1 ? draw(e, count) : 0] : NULL;
}

/* Mostly up to two quanta; now and then a few instructions, for what needs two turns close by. */
static uint64_t turn_length(struct engine *e)
{
    enum { SHORT_ONES = 8, SHORT = 256 };
    if (!e->seeded)
        return e->quantum;
    return 1 + draw(e, draw(e, SHORT_ONES) == 0 ? SHORT : 2 * e->quantum);
}

static void begin_turn(struct engine *e)
{
    e->turn_end = next_runnable(e) != NULL ? e->now + turn_length(e) : NEVER;
}

void note_break(struct engine *e, int next, int vector)
{
    enum { A_FEW = 4 };
    struct break_ b = {
        .at = e->now,
        .address = linear_eip(e),
        .cpu = (int16_t)e->current->number,
        .next = (int16_t)next,
        .vector = (int16_t)vector,
        .torn = e->current->tear.size != 0,
        .times = 1,
    };
    for (uint64_t back = 1; back <= A_FEW && back <= e->break_count; back++) {
        struct break_ *other = &e->breaks[(e->break_count - back) % BREAKS_KEPT];
        if (other->address == b.address && other->cpu == b.cpu && other->next == b.next &&
            other->vector == b.vector && other->torn == b.torn) {
            other->at = b.at;
            other->times++;
            return;
        }
    }
    e->breaks[e->break_count++ % BREAKS_KEPT] = b;
}

static void give_turn(struct engine *e, struct cpu *next)
{
    note_break(e, next->number, -1);
    bank_switch(e, next);
    begin_turn(e);
    e->attention = 0; /* what was to be looked at next is no longer so */
    resume_torn(e);
}

void resume_torn(struct engine *e)
{
    if (e->current->tear.size != 0 && tear_end(e)) {
        e->part = PART_TORN;
        FIELD(int32_t, e->cs, CS_CFLAGS_NEXT_TB) = ONE_INSTRUCTION;
    }
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
    struct cpu *next = e->seeded ? drawn_runnable(e) : next_runnable(e);
    if (next == NULL)
        return false;
    give_turn(e, next);
    return true;
}

bool end_turn_if_due(struct engine *e)
{
    if (e->now < e->turn_end)
        return false;
    struct cpu *next = e->seeded ? drawn_runnable(e) : next_runnable(e);
    if (next == NULL) {
        begin_turn(e);
        return false;
    }
    if (e->tears && draw(e, 2) == 0)
        tear_begin(e);
    give_turn(e, next);
    return true;
}

void yield_turn(struct engine *e)
{
    enum { SELDOM = 4 };
    if (e->turn_end == NEVER || (e->seeded && draw(e, SELDOM) == 0))
        return;
    e->turn_end = e->now;
    e->attention = 0;
}

void may_yield(struct engine *e)
{
    enum { SELDOM = 8 };
    if (e->turn_end == NEVER || draw(e, SELDOM) != 0)
        return;
    e->turn_end = e->now;
    e->attention = 0;
}

void cpu_woken(struct cpu *c)
{
    struct engine *e = c->engine;
    if (c != e->current && e->turn_end == NEVER && runnable(c)) {
        e->turn_end = e->now + turn_length(e);
        e->attention = 0;
    }
}

/* Half of them come at once: one that is held is never lost in an instruction before a HLT. */
void hold_interrupt(struct cpu *c)
{
    struct engine *e = c->engine;
    bool waits = e->seeded && e->jitter > 0 && !*cpu_halted(c) && draw(e, 2) == 0;
    c->hold = waits ? e->now + draw(e, e->jitter) : 0;
}

/* ---- between two instructions ---- */

/* When something is to happen to the present CPU that does not wait for the end of a block. */
static uint64_t moment(const struct engine *e)
{
    const struct cpu *c = e->current;
    if (!e->seeded)
        return NEVER;
    bool held = c->hold > e->now && (FIELD(uint32_t, e->cs, CS_INTERRUPT_REQUEST) & INTERRUPT_HARD);
    return held && c->hold < e->turn_end ? c->hold : e->turn_end;
}

uint64_t next_event(const struct engine *e)
{
    uint64_t event = e->deadline < e->turn_end ? e->deadline : e->turn_end, at = moment(e);
    if (at != NEVER) {
        uint64_t near = at > LONGEST_BLOCK ? at - LONGEST_BLOCK : 0;
        event = near < event ? near : event;
    }
    uint64_t host = e->now + SELDOM_LOOKS; /* see give_way() */
    return host < event ? host : event;
}

void part_block(struct engine *e, uint32_t size)
{
    uint64_t at = moment(e);
    if (at >= e->now + size) /* NEVER, too */
        return;
    /* How many instructions lie before it can only be guessed: two bytes or more each. */
    uint64_t most = 1 + (at > e->now ? at - e->now : 0) / 2;
    e->part = PART_FIRST;
    e->part_at = at;
    e->part_draws = e->draws;
    e->attention = 0;
    FIELD(int32_t, e->cs, CS_CFLAGS_NEXT_TB) = (int32_t)(1 + draw(e, most));
    unicorn.loop_exit_noexc(e->cs);
}

/* A debugger that leaves here comes back to a run that asks again: undo what asking changed. */
static void let_debugger_arrive(struct engine *e, uint64_t address)
{
    uint64_t draws = e->draws;
    switch (e->part) {
    case PART_NONE:
        debugger_arrives(e, address);
        break;
    case PART_FIRST:
        e->draws = e->part_draws;
        debugger_arrives(e, address);
        e->draws = draws;
        break;
    case PART_TORN:
        tear_again(e);
        debugger_arrives(e, address);
        tear_end(e);
        break;
    case PART_AFTER_REWRITE:
        e->rewritten = true;
        debugger_arrives(e, address);
        e->rewritten = false;
        break;
    }
}

void begin_part(struct engine *e, uint64_t address, uint32_t size)
{
    if (debugged(e))
        let_debugger_arrive(e, address);
    if (e->part == PART_FIRST && e->turn_end == e->part_at)
        e->turn_end = e->now + size;
    if (e->part == PART_FIRST && e->current->hold == e->part_at)
        e->current->hold = e->now + size;
    e->part = PART_NONE;
    e->attention = 0;
    if (debugged(e))
        debugger_block(e, address, size);
}
