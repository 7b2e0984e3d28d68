/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driving Unicorn: when it runs, when it stops, what time it is.
 *
 * uc_emu_start runs until the block hook ends it. Between blocks everything is exact: eip,
 * flags and virtual time; nowhere else does a run stop.
 */
#include "engine.h"

enum { UC_HOOK_INTR = 1 << 0, UC_HOOK_BLOCK = 1 << 3, UC_HOOK_INSN_INVALID = 1 << 14 };

struct engine *running_engine;

/* ---- all engines of the process ---- */

static struct engine *engines;

void engine_join(struct engine *e)
{
    e->next = engines;
    engines = e;
}

void engine_leave(struct engine *e)
{
    for (struct engine **place = &engines; *place != NULL; place = &(*place)->next)
        if (*place == e) {
            *place = e->next;
            return;
        }
}

struct engine *engine_of(const void *cs)
{
    if (running_engine != NULL && running_engine->cs == cs)
        return running_engine;
    struct engine *e = engines;
    while (e != NULL && e->cs != cs)
        e = e->next;
    return e;
}

struct engine *engine_of_uc(const void *uc)
{
    if (running_engine != NULL && running_engine->uc == uc)
        return running_engine;
    struct engine *e = engines;
    while (e != NULL && e->uc != uc)
        e = e->next;
    return e;
}

/* What an instruction that ends in an exception leaves undone, it will begin anew. Only its own
 * trap takes along what it has hit. */
static void drop_unfinished(struct engine *e, int vector)
{
    if (e->watch_hits && vector == VECTOR_DB)
        FIELD(uint64_t, e->env, ENV_DR + 6 * 8) |= e->watch_hits;
    e->watch_hits = 0;
    e->replay = false;
    e->translating = false;
    e->part = PART_NONE;
    e->rewritten = false;
    e->owed = 0;
    debugger_interrupted(e);
}

/*
 * A reset or the end of the machine does not wait for the block's end. Its time has been charged as
 * a whole; that is so whatever the slicing, as what the guest does decides where it is left.
 */
static void __attribute__((noreturn, noinline, cold)) leave_block(struct engine *e,
                                                                 uintptr_t host_pc)
{
    if (host_pc != 0)
        unicorn.restore_state(e->cs, host_pc, true); /* eip shows the access that did it */
    drop_unfinished(e, NO_VECTOR);
    e->cut = false;
    e->stopping = e->kicked = true;
    unicorn.emu_stop(e->uc);
    unicorn.loop_exit_noexc(e->cs);
}

void leave_if_abandoned(struct engine *e, uintptr_t host_pc)
{
    if (__builtin_expect(e->abandoned, 0))
        leave_block(e, host_pc);
}

/* ---- hooks ---- */

/*
 * Code that writes into its own block is likely to do so again. A long block would be translated for
 * each such store, so what comes after one is short: it is translated so (translation.c), or asked
 * for here if a longer one is at hand. Nothing may come before it: whether it is short must not
 * depend on where a run has stopped, nor on what is translated. A block behind a jump is as it is:
 * blocks that jump to each other stay connected.
 */
static void after_rewrite(struct engine *e, uint64_t address, uint32_t size)
{
    e->rewritten = false;
    if (address != e->rest || size <= FEW_INSTRUCTIONS)
        return;
    e->part = PART_AFTER_REWRITE;
    e->attention = 0;
    FIELD(int32_t, e->cs, CS_CFLAGS_NEXT_TB) = FEW_INSTRUCTIONS;
    unicorn.loop_exit_noexc(e->cs);
}

static void __attribute__((noinline, cold)) look_closer(struct engine *e, uint64_t address,
                                                  uint32_t size)
{
    if (debugged(e) && debugger_instruction(e, address, size))
        return;
    if (e->part) {
        begin_part(e, address, size);
        e->now += size;
        return;
    }
    if (e->cut) {
        e->cut = false; /* attention stays 0: look again at the next block */
        e->rewritten = true;
        e->rest = e->debugger.walk_end = address + size;
        e->now += size;
        return;
    }
    if (e->rewritten)
        after_rewrite(e, address, size);
    e->replay = false;
    give_way(e);
    if (e->watch_hits)
        raise_watch_hits(e);
    if (takes_interrupt(e)) {
        e->attention = e->kicked || debugged(e) ? 0 : next_event(e);
        unicorn.loop_exit_noexc(e->cs);
    }
    if (e->kicked || e->now >= e->deadline) {
        e->stopping = true;
        unicorn.emu_stop(e->uc);
        unicorn.loop_exit_noexc(e->cs);
    }
    if (end_turn_if_due(e))
        unicorn.loop_exit_noexc(e->cs);
    part_block(e, size);
    if (debugged(e)) {
        debugger_arrives(e, address);
        debugger_block(e, address, size);
    } else
        e->attention = shadowed(e) ? 0 : next_event(e);
    e->now += size;
}

static void on_block(void *uc, uint64_t address, uint32_t size, void *opaque)
{
    struct engine *e = opaque;
    (void)uc;
    if (__builtin_expect(e->now < e->attention, 1))
        e->now += size;
    else
        look_closer(e, address, size);
}

/* Whether a page fault is one of fetching the instruction at eip, so that no block begins. */
static bool faults_at_fetch(const struct engine *e, uint32_t vector)
{
    const struct segment *cs = &FIELD(struct segment, e->env, ENV_SEGS + SEG_CS * sizeof(*cs));
    return vector == VECTOR_PF &&
           FIELD(uint64_t, e->env, ENV_CR + 2 * 8) == cs->base + FIELD(uint64_t, e->env, ENV_EIP);
}

/* May nest and jump. */
static void deliver(struct engine *e, int vector)
{
    bool is_int = FIELD(int32_t, e->env, ENV_EXCEPTION_IS_INT);
    delivery_begins(e, is_int ? DELIVERY_INT : DELIVERY_EXCEPTION, vector);
    unicorn.do_interrupt(e->cs);
    e->delivering = false;
    segments_changed(e->env);
}

/* An exception or INT n on its way into the guest's IDT. May nest and jump. Handlers that cannot be
 * fetched may follow each other for ever: so these take time, and a run can end between them. */
static void on_exception(void *uc, uint32_t vector, void *opaque)
{
    struct engine *e = opaque;
    bool at_fetch = faults_at_fetch(e, vector);
    drop_unfinished(e, (int)vector);
    if (FIELD(int32_t, e->env, ENV_EXCEPTION_IS_INT))
        FIELD(uint64_t, e->env, ENV_EIP) = FIELD(uint64_t, e->env, ENV_NEXT_EIP) - e->int_length;
    deliver(e, (int)vector);
    if (at_fetch) {
        charge(e, FETCH_FAULT_TICKS);
        give_way(e);
        if (e->kicked || e->now >= e->deadline) {
            e->stopping = true;
            unicorn.emu_stop(uc);
        }
    }
}

/* #UD does not reach the hook above. */
static bool on_invalid_instruction(void *uc, void *opaque)
{
    struct engine *e = opaque;
    (void)uc;
    drop_unfinished(e, VECTOR_UD);
    deliver(e, deliver_int1(e) ? VECTOR_DB : VECTOR_UD);
    return true;
}

int add_hooks(struct engine *e)
{
    const struct {
        int type;
        void *callback;
    } hooks[] = {
        {UC_HOOK_BLOCK, on_block}, /* exactly one of these: then it is inlined */
        {UC_HOOK_INTR, on_exception},
        {UC_HOOK_INSN_INVALID, on_invalid_instruction},
    };
    size_t handle;
    int error = 0;
    for (size_t i = 0; error == 0 && i < sizeof(hooks) / sizeof(*hooks); i++)
        error = unicorn.hook_add(e->uc, &handle, hooks[i].type, hooks[i].callback, e, 1, 0);
    return error;
}
