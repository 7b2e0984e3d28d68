/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an instruction demands of its operands, written into its translation.
 *
 * The translator asks one function for each instruction. Ours comes first, looks what is there, and
 * has the rules added that the translator leaves out: as a property of a memory access, which costs
 * nothing where the operand is as it should be, or as a call before or behind the instruction.
 * Calls have to be of functions that the code generator knows. Two of them serve for ours, with
 * arguments that are never theirs.
 */
#include "decode.h"
#include "engine.h"

enum { ALIGN_16 = 4 << 4, ALIGN_NATURAL = 7 << 4, ALIGN_MASK = 7 << 4, SIZE_MASK = 3, SIZE_8 = 3 };
enum { DISAS_NEXT = 0, DISAS_TOO_MANY = 1 };
enum { CALLS_OURS = 0x100 }; /* no segment register has this number */

/* What a call out of translated code is for. */
enum task {
    KEEP_TABLES = CALLS_OURS,
    CHECK_TABLES,
    STORE_CR0,
    REFUSE_IN_RING_3,
    BEFORE_RETURN,
    AFTER_RETURN,
    SEGMENTS_LOADED,
};

/* The instruction that is being translated. */
static struct {
    struct instruction is;
    void *tcg;              /* the code generator's context */
    uint32_t flags;         /* of its block */
    uint64_t undefined_at;  /* where Unicorn is to see an invalid opcode, or NEVER */
    int weight;             /* of the block so far */
    bool align_first;       /* its first eight bytes in memory must lie at a multiple of 16 */
    bool align_all;         /* alignment is checked for everything: #AC */
    const struct translator_ops *original;
} now = {.undefined_at = NEVER};

/* Unicorn's TranslatorOps. */
struct translator_ops {
    void (*init)(void *db, void *cs);
    void (*tb_start)(void *db, void *cs);
    void (*insn_start)(void *db, void *cs);
    bool (*breakpoint_check)(void *db, void *cs, const void *breakpoint);
    void (*translate_insn)(void *db, void *cs);
    void (*tb_stop)(void *db, void *cs);
    void (*pc_sync)(void *db, void *cs);
};

/* ---- calls ---- */

extern void helper_load_seg_x86_64(void *env, int segment, int selector);

static void *temporary(void *variable)
{
    return (char *)now.tcg + (uintptr_t)variable;
}

static void call(enum task task, uint32_t argument)
{
    void *arguments[] = {
        temporary(unicorn.const_i64(now.tcg, 0)),
        temporary(unicorn.const_i32(now.tcg, task)),
        temporary(unicorn.const_i32(now.tcg, (int32_t)argument)),
    };
    unicorn.generate_call(now.tcg, (void *)helper_load_seg_x86_64, NULL, 3, arguments);
    for (int n = 0; n < 3; n++)
        unicorn.free_temporary(now.tcg, arguments[n]);
}

/* Calls of functions that load segments: they find the instruction by the address that they return
 * to, so they are called by translated code and not by ours, which comes before or behind. */
void operands_call(void *tcg, const void *function)
{
    now.tcg = tcg;
    if (segments_returns_by(function))
        call(BEFORE_RETURN, 0);
}

void operands_called(void *tcg, const void *function)
{
    (void)tcg;
    if (segments_returns_by(function))
        call(AFTER_RETURN, 0);
    if (segments_loaded_by(function) ||
        (function == (void *)helper_load_seg_x86_64 && !(now.flags & HF_CS64)))
        call(SEGMENTS_LOADED, 0);
}

static struct {
    struct segment gdt, idt;
} tables_before;

static bool table_is_canonical(const struct engine *e, int offset)
{
    return canonical(FIELD(struct segment, e->env, offset).base);
}

static void perform(enum task task, uint32_t argument, uintptr_t host_pc)
{
    struct engine *e = running_engine;
    switch (task) {
    case KEEP_TABLES: /* before LGDT or LIDT */
        tables_before.gdt = FIELD(struct segment, e->env, ENV_GDT);
        tables_before.idt = FIELD(struct segment, e->env, ENV_IDT);
        break;
    case CHECK_TABLES: /* behind it */
        if (!table_is_canonical(e, ENV_GDT) || !table_is_canonical(e, ENV_IDT)) {
            FIELD(struct segment, e->env, ENV_GDT) = tables_before.gdt;
            FIELD(struct segment, e->env, ENV_IDT) = tables_before.idt;
            unicorn.raise_exception(e->env, VECTOR_GP, 0, host_pc);
        }
        break;
    case STORE_CR0: /* SMSW r32 */
        *reg(e->env, (int)argument) = (uint32_t)FIELD(uint64_t, e->env, ENV_CR);
        break;
    case REFUSE_IN_RING_3: /* UMIP */
        if (FIELD(uint64_t, e->env, ENV_CR + 4 * 8) & CR4_UMIP)
            unicorn.raise_exception(e->env, VECTOR_GP, 0, host_pc);
        break;
    case BEFORE_RETURN:
        segments_before_return(e->env);
        break;
    case AFTER_RETURN:
        segments_after_return(e->env);
        break;
    case SEGMENTS_LOADED:
        segments_changed(e->env);
        break;
    }
}

/* Loads of segment registers, and our own calls. */
EXPORT void helper_load_seg_x86_64(void *env, int segment, int selector)
{
    if (segment >= CALLS_OURS) {
        perform((enum task)segment, (uint32_t)selector, JIT_PC);
        return;
    }
    uint32_t hflags = FIELD(uint32_t, running_engine->env, ENV_HFLAGS);
    bool null = (selector & 0xfffc) == 0;
    if (segment == SEG_SS && null && (hflags & HF_CS64) && ((uint32_t)selector & 3) != (hflags & HF_CPL_MASK))
        unicorn.raise_exception(env, VECTOR_GP, 0, JIT_PC);
    unicorn.load_seg(env, segment, selector);
}

/* ---- memory accesses ---- */

static int demanded(int access)
{
    if (now.align_first && (access & SIZE_MASK) == SIZE_8) {
        now.align_first = false;
        return (access & ~ALIGN_MASK) | ALIGN_16;
    }
    if (now.align_all && (access & SIZE_MASK) != 0)
        return (access & ~ALIGN_MASK) | ALIGN_NATURAL;
    return access;
}

#define ACCESS(name, store)                                                                    \
    EXPORT void tcg_gen_qemu_##name##_x86_64(void *tcg, void *value, void *address,            \
                                             uint64_t index, int access)                       \
    {                                                                                          \
        segments_access(tcg, address, 1 << (access & SIZE_MASK), store);                       \
        unicorn.name(tcg, value, address, index, demanded(access));                            \
    }

ACCESS(ld_i32, false)
ACCESS(ld_i64, false)
ACCESS(st_i32, true)
ACCESS(st_i64, true)

/* An access is not aligned as it should be. */
static void unaligned(void *cs, uint64_t address, int access, int mmu_index, uintptr_t host_pc)
{
    struct engine *e = running_engine;
    struct instruction i;
    (void)address;
    (void)access;
    (void)mmu_index;
    unicorn.restore_state(cs, host_pc, true);
    uint32_t hflags = FIELD(uint32_t, e->env, ENV_HFLAGS);
    uint64_t base = FIELD(struct segment, e->env, ENV_SEGS + SEG_CS * sizeof(struct segment)).base;
    decode(e, base + FIELD(uint64_t, e->env, ENV_EIP), hflags & HF_CS64, hflags & HF_CS32, &i);
    unicorn.raise_exception(e->env, needs_alignment(&i) ? VECTOR_GP : VECTOR_AC, 0, 0);
}

void demand_alignment(struct engine *e)
{
    FIELD(void *, FIELD(char *, e->cs, CS_CLASS), CLASS_DO_UNALIGNED_ACCESS) = (void *)unaligned;
}

void alignment_check_changed(void *env)
{
    uint32_t *hflags = &FIELD(uint32_t, env, ENV_HFLAGS);
    *hflags = (*hflags & ~HF_ALIGN) | (FIELD(uint64_t, env, ENV_CR) & CR0_AM ? HF_ALIGN : 0);
}

/* ---- one instruction ---- */

/* Unicorn reads an instruction's bytes by this; one that is undefined begins with those of UD2. */
EXPORT uint32_t cpu_ldub_code_x86_64(void *env, uint64_t address)
{
    if (__builtin_expect(now.undefined_at != NEVER && address - now.undefined_at < 2, 0))
        return address == now.undefined_at ? 0x0f : 0x0b;
    return unicorn.load_code(env, address);
}

static bool reads_system_state(const struct instruction *i)
{
    if (i->map != MAP_0F)
        return false;
    if (i->opcode == 0x00)
        return modrm_reg(i) <= 1; /* SLDT STR */
    return i->opcode == 0x01 && (modrm_reg(i) == 4 || (modrm_reg(i) <= 1 && in_memory(i))); /* SMSW SGDT SIDT */
}

static bool loads_table(const struct instruction *i)
{
    return i->map == MAP_0F && i->opcode == 0x01 && in_memory(i) &&
           (modrm_reg(i) == 2 || modrm_reg(i) == 3);
}

static bool is_smsw_r32(const struct instruction *i)
{
    return i->map == MAP_0F && i->opcode == 0x01 && modrm_reg(i) == 4 && modrm_mod(i) == 3 &&
           !i->code64 && i->code32 != i->operand_size;
}

static void before(void)
{
    const struct instruction *i = &now.is;
    if ((now.flags & HF_CPL_MASK) == 3 && reads_system_state(i))
        call(REFUSE_IN_RING_3, 0);
    if (i->code64 && loads_table(i))
        call(KEEP_TABLES, 0);
}

static void behind(void *db)
{
    const struct instruction *i = &now.is;
    if (i->code64 && loads_table(i))
        call(CHECK_TABLES, 0);
    if (is_smsw_r32(i))
        call(STORE_CR0, modrm_rm(i));
    if (segments_loads(i, now.flags) && FIELD(int32_t, db, DB_IS_JMP) == DISAS_NEXT)
        FIELD(int32_t, db, DB_IS_JMP) = DISAS_TOO_MANY; /* the next block may have other flags */
}

static void end_block_in_time(void *db)
{
    now.weight += weight_of(&now.is);
    if (now.weight >= HEAVIEST_BLOCK && FIELD(int32_t, db, DB_IS_JMP) == DISAS_NEXT)
        FIELD(int32_t, db, DB_IS_JMP) = DISAS_TOO_MANY;
}

static void translate(void *db, void *cs)
{
    struct engine *e = running_engine;
    uint64_t pc = FIELD(uint64_t, db, DB_PC_NEXT);
    if (e->translation_watch != NULL)
        e->translation_watch(e, db);
    decode(e, pc, now.flags & HF_CS64, now.flags & HF_CS32, &now.is);
    now.undefined_at = is_undefined(&now.is) ? pc : NEVER;
    now.align_first = needs_alignment(&now.is);
    segments_instruction(&now.is, now.flags);
    if (now.undefined_at == NEVER)
        before();
    now.original->translate_insn(db, cs);
    if (now.undefined_at == NEVER)
        behind(db);
    end_block_in_time(db);
    now.undefined_at = NEVER;
    now.align_first = false;
    if (e->translation_watch != NULL)
        e->translation_watch(e, db);
}

EXPORT void translator_loop_x86_64(const struct translator_ops *ops, void *db, void *cs, void *tb,
                                   int count)
{
    struct translator_ops ours = *ops;
    now.original = ops;
    now.undefined_at = NEVER;
    now.weight = 0;
    ours.translate_insn = translate;
    unicorn.translator_loop(&ours, db, cs, tb, count);
}

void operands_block(uint32_t flags)
{
    now.flags = flags;
    now.undefined_at = NEVER;
    now.align_all = (flags & HF_CPL_MASK) == 3 && (flags & EFLAGS_AC) && (flags & HF_ALIGN);
}
