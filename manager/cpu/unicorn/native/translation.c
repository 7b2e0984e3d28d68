/* SPDX-License-Identifier: BSD-2-Clause */
/* Each block's translation: how long the block may be, and what happens when there is none. */
#include "decode.h"
#include "engine.h"

/*
 * A block ends where the translator has 4,000 operations or 64 KiB of the host's code, and how many
 * an instruction takes depends on the host. Interrupts come in where blocks end; so a block ends
 * before that, by what is the same on every host: each instruction weighs an upper bound of its
 * operations, in units of 15 of them.
 */
enum { LIGHT = 1, ACCESS = 1, USUAL = 4, EIGHT_ACCESSES = 8, NESTING = 24 };

/* MOV, LEA, TEST, and arithmetic: the first 40h but for their segment registers and BCD. */
static bool is_light(const struct instruction *i)
{
    enum { ALU_END = 0x40, NO_ALU = 6, ALU_IMM = 0x80, MOV_SEGMENT = 0x8c, LEA = 0x8d, TEST = 0xa8,
           MOV_IMM = 0xb0, MOV_IMM_END = 0xc0 };
    int op = i->opcode;
    return (op < ALU_END && (op & 7) < NO_ALU) || (op >= ALU_IMM && op < MOV_SEGMENT) || op == LEA ||
           op == TEST || op == TEST + 1 || (op >= MOV_IMM && op < MOV_IMM_END);
}

int weight_of(const struct instruction *i)
{
    enum { PUSH = 0x50, POP_END = 0x60, PUSHA = 0x60, POPA = 0x61, SHIFT_IMM = 0xc0, ENTER = 0xc8 };
    int op = i->opcode, access = in_memory(i) ? ACCESS : 0;
    if (i->map != MAP_ONE_BYTE)
        return USUAL;
    if (is_light(i))
        return LIGHT + access;
    if (op >= PUSH && op < POP_END)
        return LIGHT + ACCESS;
    if (op == SHIFT_IMM || op == SHIFT_IMM + 1)
        return 2 * LIGHT + access;
    if (!i->code64 && (op == PUSHA || op == POPA))
        return EIGHT_ACCESSES;
    return op == ENTER ? NESTING : USUAL;
}

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
