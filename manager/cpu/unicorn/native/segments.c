/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Limits and types of segments (Intel SDM vol. 3, 5.3 to 5.5), which Unicorn checks where a segment
 * register is loaded and nowhere else.
 *
 * Nearly all segments are flat: an access through them cannot go wrong, and costs nothing. A block
 * is translated for what hflags say when it begins; bits that Unicorn does not use say that a
 * segment is not flat. Only then is a check written before each access through it.
 *
 * Unicorn's helpers that access memory by themselves (x87 operands of ten bytes, FXSAVE, far calls)
 * are not checked, nor is what is executed beyond the limit of CS. In real mode only 32-bit offsets
 * are: no other reaches beyond the 64 KiB that are the limit there.
 */
#include "decode.h"
#include "engine.h"

/* Descriptor bits, as struct segment has them. */
enum {
    DESC_P = 0x8000,
    DESC_S = 0x1000,
    DESC_CODE = 0x0800,
    DESC_DOWN = 0x0400,     /* of data: it expands down */
    DESC_WRITABLE = 0x0200, /* of data; of code: readable */
    DESC_B = 0x400000,
};

enum { STORE = 0x100, CHECKS_OURS = 0x10000 }; /* no port has such a number */

static struct segment *segment_of(void *env, int number)
{
    return &FIELD(struct segment, env, ENV_SEGS + number * (int)sizeof(struct segment));
}

static bool flat_data(const struct segment *s)
{
    return s->limit == 0xffffffff &&
           (s->flags & (DESC_P | DESC_CODE | DESC_DOWN | DESC_WRITABLE)) == (DESC_P | DESC_WRITABLE);
}

static bool flat_code(const struct segment *s)
{
    return s->limit == 0xffffffff && (s->flags & (DESC_P | DESC_WRITABLE)) == (DESC_P | DESC_WRITABLE);
}

void segments_changed(void *env)
{
    uint32_t *hflags = &FIELD(uint32_t, env, ENV_HFLAGS);
    uint32_t bits = 0;
    if (!(*hflags & HF_CS64)) {
        if (!flat_data(segment_of(env, SEGMENT_DS)) || !flat_data(segment_of(env, SEGMENT_ES)) ||
            !flat_data(segment_of(env, SEGMENT_SS)))
            bits |= HF_ODD_DATA;
        bits |= flat_data(segment_of(env, SEGMENT_FS)) ? 0 : HF_ODD_FS;
        bits |= flat_data(segment_of(env, SEGMENT_GS)) ? 0 : HF_ODD_GS;
        bits |= flat_code(segment_of(env, SEGMENT_CS)) ? 0 : HF_ODD_CS;
    }
    *hflags = (*hflags & ~HF_ODD) | bits;
}

/* ---- the check ---- */

static bool beyond(const struct segment *s, uint32_t offset, uint32_t size)
{
    uint32_t last = offset + size - 1;
    if (!(s->flags & DESC_CODE) && (s->flags & DESC_DOWN)) {
        uint32_t top = s->flags & DESC_B ? 0xffffffff : 0xffff;
        return offset <= s->limit || last > top || last < offset;
    }
    return last > s->limit || last < offset;
}

static bool wrong_type(const struct segment *s, bool store, bool protected_mode)
{
    if (!protected_mode)
        return false;
    if (!(s->flags & DESC_P))
        return true; /* a null selector */
    if (s->flags & DESC_CODE)
        return store || !(s->flags & DESC_WRITABLE);
    return store && !(s->flags & DESC_WRITABLE);
}

static void check(uint32_t what, uint64_t linear, uintptr_t host_pc)
{
    struct engine *e = running_engine;
    int number = (what >> 4) & 0xf;
    const struct segment *s = segment_of(e->env, number);
    bool protected_mode = (FIELD(uint64_t, e->env, ENV_CR) & CR0_PE) &&
                          !(FIELD(uint64_t, e->env, ENV_EFLAGS) & EFLAGS_VM);
    uint32_t offset = (uint32_t)(linear - s->base);
    if (wrong_type(s, what & STORE, protected_mode) || beyond(s, offset, what & 0xf))
        unicorn.raise_exception(e->env, number == SEGMENT_SS ? VECTOR_SS : VECTOR_GP, 0, host_pc);
}

/* I/O breakpoints, and our checks. */
EXPORT void helper_bpt_io_x86_64(void *env, uint32_t port, uint32_t size, uint64_t next)
{
    if (port >= CHECKS_OURS) {
        check(size, next, JIT_PC);
        return;
    }
    unicorn.bpt_io(env, port, size, next);
}

/* ---- in translation ---- */

/* Through which segments the instruction that is being translated loads and stores, in turn; or
 * NO_SEGMENT where that need not be looked at. */
static struct {
    int load[2], store;
    int loads;
} now;

static int watched(int segment, uint32_t flags)
{
    static const uint32_t bits[] = {
        [SEGMENT_ES] = HF_ODD_DATA, [SEGMENT_CS] = HF_ODD_CS, [SEGMENT_SS] = HF_ODD_DATA,
        [SEGMENT_DS] = HF_ODD_DATA, [SEGMENT_FS] = HF_ODD_FS, [SEGMENT_GS] = HF_ODD_GS,
    };
    return flags & bits[segment] ? segment : NO_SEGMENT;
}

static bool is_stack_only(const struct instruction *i)
{
    uint8_t o = i->opcode;
    if (i->map == MAP_0F)
        return o == 0xa0 || o == 0xa1 || o == 0xa8 || o == 0xa9; /* PUSH, POP FS, GS */
    if (i->map != MAP_ONE_BYTE)
        return false;
    if (o < 0x20)
        return (o & 7) >= 6; /* PUSH, POP ES to DS */
    return (o >= 0x50 && o <= 0x61) || o == 0x68 || o == 0x6a || o == 0x9a || o == 0x9c || o == 0x9d ||
           o == 0xc2 || o == 0xc3 || o == 0xc8 || o == 0xc9 || (o >= 0xca && o <= 0xcf) || o == 0xe8;
}

void segments_instruction(const struct instruction *i, uint32_t flags)
{
    bool store_by_cs = i->override == SEGMENT_CS && (flags & HF_PE) && !(flags & EFLAGS_VM);
    now.load[0] = now.load[1] = now.store = NO_SEGMENT;
    now.loads = 0;
    if (i->code64 || !((flags & HF_ODD) || store_by_cs))
        return;
    bool real_mode = !(flags & HF_PE) || (flags & EFLAGS_VM), wide = i->code32 != i->address_size;
    if (real_mode && !wide)
        return; /* its offsets do not reach beyond 64 KiB */
    int source = i->override != NO_SEGMENT ? i->override : SEGMENT_DS;
    int load0 = source, load1 = source, store = source;
    if (is_stack_only(i)) {
        load0 = load1 = store = SEGMENT_SS;
    } else if (i->has_modrm) {
        load0 = load1 = store = in_memory(i) ? i->segment : source;
        if (i->map == MAP_ONE_BYTE && i->opcode == 0xff && (modrm_reg(i) == 2 || modrm_reg(i) == 6))
            store = SEGMENT_SS; /* CALL, PUSH */
        if (i->map == MAP_ONE_BYTE && i->opcode == 0x8f)
            load0 = load1 = SEGMENT_SS; /* POP */
    } else if (i->map == MAP_ONE_BYTE) {
        switch (i->opcode) {
        case 0x6c: case 0x6d: case 0xa4: case 0xa5: case 0xaa: case 0xab:
            store = SEGMENT_ES; /* INS MOVS STOS */
            break;
        case 0xa6: case 0xa7: case 0xae: case 0xaf:
            load0 = SEGMENT_ES; /* CMPS, in Unicorn's order, and SCAS */
            break;
        }
    }
    now.load[0] = watched(load0, flags);
    now.load[1] = watched(load1, flags);
    now.store = store == SEGMENT_CS && store_by_cs ? SEGMENT_CS : watched(store, flags);
}

void segments_access(void *tcg, void *address, int size, bool store)
{
    int segment = store ? now.store : now.load[now.loads];
    if (!store)
        now.loads = 1;
    if (segment == NO_SEGMENT)
        return;
    int32_t what = size | segment << 4 | (store ? STORE : 0);
    void *arguments[] = {
        (char *)tcg + (uintptr_t)unicorn.const_i64(tcg, 0),
        (char *)tcg + (uintptr_t)unicorn.const_i32(tcg, CHECKS_OURS),
        (char *)tcg + (uintptr_t)unicorn.const_i32(tcg, what),
        (char *)tcg + (uintptr_t)address,
    };
    unicorn.generate_call(tcg, (void *)helper_bpt_io_x86_64, NULL, 4, arguments);
    for (int n = 0; n < 3; n++)
        unicorn.free_temporary(tcg, arguments[n]);
}

bool segments_loads(const struct instruction *i, uint32_t flags)
{
    if (i->code64 || !(flags & HF_PE) || (flags & EFLAGS_VM))
        return false;
    if (i->map == MAP_ONE_BYTE)
        return i->opcode == 0x8e || i->opcode == 0x07 || i->opcode == 0x17 || i->opcode == 0x1f ||
               i->opcode == 0xc4 || i->opcode == 0xc5;
    return i->map == MAP_0F && (i->opcode == 0xa1 || i->opcode == 0xa9 || i->opcode == 0xb2 ||
                                i->opcode == 0xb4 || i->opcode == 0xb5);
}

/* ---- what loads them ---- */

/* Functions of Unicorn's that translated code calls, and that may leave other segments behind. */
bool segments_loaded_by(const void *function)
{
    void *const loaders[] = {
        (void *)unicorn.iret_protected, (void *)unicorn.lret_protected,
        (void *)unicorn.ljmp_protected, (void *)unicorn.lcall_protected,
        (void *)unicorn.sysexit, (void *)unicorn.sysret,
    };
    for (size_t n = 0; n < sizeof(loaders) / sizeof(*loaders); n++)
        if (loaders[n] == function)
            return true;
    return false;
}

/*
 * A return to an outer ring clears the selectors of segments that are not for it. In 64-bit mode the
 * bases of FS and GS stay: they do not come from the selectors.
 */
bool segments_returns_by(const void *function)
{
    return function == (void *)unicorn.iret_protected || function == (void *)unicorn.lret_protected;
}

static struct segment fs_before, gs_before;
static bool return_from_code64;

void segments_before_return(void *env)
{
    fs_before = *segment_of(env, SEGMENT_FS);
    gs_before = *segment_of(env, SEGMENT_GS);
    return_from_code64 = FIELD(uint32_t, env, ENV_HFLAGS) & HF_CS64;
}

static void keep_base(void *env, int number, const struct segment *before)
{
    struct segment *s = segment_of(env, number);
    if (s->selector == 0 && before->selector != 0)
        s->base = before->base;
}

void segments_after_return(void *env)
{
    if (return_from_code64) {
        keep_base(env, SEGMENT_FS, &fs_before);
        keep_base(env, SEGMENT_GS, &gs_before);
    }
}
