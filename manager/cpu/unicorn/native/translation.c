/* SPDX-License-Identifier: BSD-2-Clause */
/* Each block's translation: how long the block may be, and what happens when there is none. */
#include "engine.h"

/*
 * RF suppresses breakpoints for one instruction; Unicorn takes it for a whole block. And a full
 * code buffer makes it forget that it was asked for one instruction (see `cut`): `owed` does not.
 */
EXPORT void *tb_gen_code_x86_64(void *cs, uint64_t pc, uint64_t cs_base, uint32_t flags, int cflags)
{
    struct engine *e = running_engine;
    (void)cs;
    give_way(e);
    if (e->owed != 0)
        cflags = e->owed;
    else if ((flags & EFLAGS_RF) && (FIELD(uint64_t, e->env, ENV_DR + 8 * 7) & 0xff))
        cflags = (cflags & ~COUNT_MASK) | ONE_INSTRUCTION;
    else if (e->rewritten && pc == e->rest && !(cflags & COUNT_MASK))
        cflags |= FEW_INSTRUCTIONS;
    e->owed = cflags & COUNT_MASK ? cflags : 0;
    operands_block(flags);
    void *block = contained_translation(e, pc, cs_base, flags, cflags);
    e->owed = 0;
    if (block == NULL) /* one of its instructions: find out which */
        block = contained_translation(e, pc, cs_base, flags,
                                      (cflags & ~COUNT_MASK) | ONE_INSTRUCTION);
    if (block == NULL)
        unicorn.raise_exception(e->env, VECTOR_UD, 0, 0);
    return block;
}
