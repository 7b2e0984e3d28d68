/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An instruction that reads memory, changes what it read and writes it back is three steps to other
 * CPUs, unless it has a LOCK prefix. Here a block's instructions are whole; but where a seed lets a
 * turn end just before such an instruction, it may count as begun: what it reads is noted, and put
 * back into memory when the CPU has its next turn, just before the instruction runs. So it writes a
 * result of the old value, as if the other CPUs had come between its read and its write.
 *
 * Only page tables and memory decide whether that is so, and never Unicorn's TLB or translations:
 * they differ after a restore. Sources: Intel SDM vol. 2, chapter 2 (formats) and the opcode map.
 */
#include <string.h>

#include "engine.h"

enum { LONGEST = 15, PAGE_MASK = 0xfff, DATA_STORE = 1 };
enum { MMU_SMAP = 0, MMU_USER = 1, MMU_NO_SMAP = 2 };
enum { ES, CS, SS, DS, FS, GS };

struct instruction {
    const uint8_t *next, *end;
    bool code64, locked;
    int operand, address; /* bytes */
    int rex, segment;     /* segment: -1 for the usual one */
};

static int take(struct instruction *i)
{
    return i->next < i->end ? *i->next++ : -1;
}

static int64_t take_displacement(struct instruction *i, int size)
{
    uint64_t value = 0;
    for (int n = 0; n < size; n++)
        value |= (uint64_t)(uint8_t)take(i) << 8 * n;
    int unused = 64 - 8 * size;
    return (int64_t)(value << unused) >> unused;
}

/* Where RAM is that the guest sees at a linear address, or NULL; `size` bytes of it. */
static uint8_t *ram_of(struct engine *e, uint64_t linear, uint64_t size, uint64_t *physical)
{
    uint32_t attributes;
    uint64_t page = unicorn.physical_page(e->cs, linear, &attributes);
    if (page == UINT64_MAX || (linear & PAGE_MASK) + size > PAGE_MASK + 1)
        return NULL;
    *physical = page + (linear & PAGE_MASK);
    return ram_pointer(e, *physical, size);
}

/* Might the CPU store there? */
static bool may_store(struct engine *e, uint64_t linear)
{
    uint32_t hflags = FIELD(uint32_t, e->env, ENV_HFLAGS);
    int mode = MMU_NO_SMAP;
    if ((hflags & HF_CPL_MASK) == 3)
        mode = MMU_USER;
    else if ((hflags & HF_SMAP) && !(FIELD(uint64_t, e->env, ENV_EFLAGS) & EFLAGS_AC))
        mode = MMU_SMAP;
    return x86_cpu_tlb_fill_x86_64(e->cs, linear, 0, DATA_STORE, mode, true, 0);
}

static uint64_t general(const struct engine *e, int number)
{
    return *reg(e->env, number);
}

/* The linear address of the memory operand behind a ModRM byte, with `more` bytes to come after it;
 * false if the operand is a register. */
static bool operand_address(const struct engine *e, struct instruction *i, int modrm, int more,
                            uint64_t *linear)
{
    int mod = modrm >> 6, rm = modrm & 7, segment = DS;
    uint64_t offset = 0;
    if (mod == 3)
        return false;
    if (i->address == 2) {
        static const int8_t first[8] = {3, 3, 5, 5, 6, 7, 5, 3}, second[8] = {6, 7, 6, 7, -1, -1, -1, -1};
        if (mod == 0 && rm == 6) {
            offset = (uint64_t)take_displacement(i, 2);
        } else {
            offset = general(e, first[rm]) + (second[rm] >= 0 ? general(e, second[rm]) : 0);
            offset += mod == 0 ? 0 : (uint64_t)take_displacement(i, mod);
            segment = rm == 2 || rm == 3 || rm == 6 ? SS : DS;
        }
        offset &= 0xffff;
    } else {
        int base = rm | (i->rex & 1) << 3;
        bool relative = mod == 0 && rm == 5;
        if (rm == 4) {
            int sib = take(i), index = (sib >> 3 & 7) | (i->rex & 2) << 2;
            base = (sib & 7) | (i->rex & 1) << 3;
            relative = false;
            if (index != 4)
                offset = general(e, index) << (sib >> 6 & 3);
            if (mod == 0 && (sib & 7) == 5)
                offset += (uint64_t)take_displacement(i, 4);
            else
                offset += general(e, base);
        } else if (relative) {
            offset = (uint64_t)take_displacement(i, 4);
        } else {
            offset = general(e, base);
        }
        if (mod != 0)
            offset += (uint64_t)take_displacement(i, mod == 1 ? 1 : 4);
        if (relative && i->code64)
            offset += FIELD(uint64_t, e->env, ENV_EIP) + (uint64_t)(LONGEST - (i->end - i->next)) + more;
        segment = !relative && (base == R_RSP || base == R_RBP) ? SS : DS;
        if (i->address == 4)
            offset = (uint32_t)offset;
    }
    if (i->segment >= 0)
        segment = i->segment;
    if (!i->code64 || segment == FS || segment == GS)
        offset += FIELD(struct segment, e->env, ENV_SEGS + segment * sizeof(struct segment)).base;
    *linear = i->code64 ? offset : (uint32_t)offset;
    return i->next <= i->end;
}

static void take_prefixes(struct instruction *i)
{
    for (;;) {
        int byte = i->next < i->end ? *i->next : -1;
        i->rex = 0;
        switch (byte) {
        case 0x66: i->operand = i->operand == 2 && !i->code64 ? 4 : 2; break;
        case 0x67: i->address = i->code64 ? 4 : 6 - i->address; break;
        case 0xf0: i->locked = true; break;
        case 0xf2: case 0xf3: break;
        case 0x26: i->segment = ES; break;
        case 0x2e: i->segment = CS; break;
        case 0x36: i->segment = SS; break;
        case 0x3e: i->segment = DS; break;
        case 0x64: i->segment = FS; break;
        case 0x65: i->segment = GS; break;
        default:
            if (i->code64 && (byte & 0xf0) == 0x40) {
                i->rex = byte;
                i->next++;
            }
            return;
        }
        i->next++;
    }
}

/* Is the next instruction one that reads and writes memory and has no LOCK? Where, and how much? */
static bool reads_and_writes(struct engine *e, uint64_t *linear, int *size)
{
    struct segment *code = &FIELD(struct segment, e->env, ENV_SEGS + CS * sizeof(*code));
    uint32_t hflags = FIELD(uint32_t, e->env, ENV_HFLAGS);
    struct instruction i = {.code64 = hflags & HF_CS64, .segment = -1};
    bool code32 = code->flags & 0x400000; /* D */
    uint64_t at = code->base + FIELD(uint64_t, e->env, ENV_EIP), physical;
    uint8_t bytes[LONGEST] = {0};
    if (!i.code64)
        at = (uint32_t)at;
    i.operand = i.code64 || code32 ? 4 : 2;
    i.address = i.code64 ? 8 : code32 ? 4 : 2;
    for (int n = 0; n < LONGEST; n++) {
        uint8_t *byte = ram_of(e, at + n, 1, &physical);
        if (byte == NULL && n == 0)
            return false;
        bytes[n] = byte != NULL ? *byte : 0;
    }
    i.next = bytes;
    i.end = bytes + LONGEST;
    take_prefixes(&i);
    if (i.locked)
        return false;
    if (i.rex & 8)
        i.operand = 8;

    int opcode = take(&i), immediate = 0;
    bool two = opcode == 0x0f;
    if (two)
        opcode = take(&i);
    int modrm = take(&i), digit = modrm >> 3 & 7, wide = opcode & 1;
    int wide_immediate = i.operand == 2 ? 2 : 4;
    if (!two && opcode < 0x38 && (opcode & 7) < 2) /* ADD OR ADC SBB AND SUB XOR m, r */
        ;
    else if (!two && (opcode == 0x80 || opcode == 0x81 || opcode == 0x83) && digit != 7)
        immediate = opcode == 0x81 ? wide_immediate : 1;
    else if (!two && (opcode == 0xfe || opcode == 0xff) && digit < 2) /* INC DEC */
        ;
    else if (!two && (opcode == 0xf6 || opcode == 0xf7) && (digit == 2 || digit == 3)) /* NOT NEG */
        ;
    else if (!two && (opcode == 0xc0 || opcode == 0xc1)) /* shifts */
        immediate = 1;
    else if (!two && opcode >= 0xd0 && opcode <= 0xd3)
        ;
    else if (two && (opcode == 0xa4 || opcode == 0xac)) { /* SHLD SHRD */
        immediate = 1;
        wide = 1;
    } else if (two && (opcode == 0xa5 || opcode == 0xad))
        wide = 1;
    else if (two && opcode == 0xba && digit > 4) { /* BTS BTR BTC m, n */
        immediate = 1;
        wide = 1;
    } else if (two && (opcode == 0xb0 || opcode == 0xb1 || opcode == 0xc0 || opcode == 0xc1))
        ; /* CMPXCHG XADD */
    else
        return false;
    *size = wide ? i.operand : 1;
    return operand_address(e, &i, modrm, immediate, linear);
}

void tear_begin(struct engine *e)
{
    struct tear *tear = &e->current->tear;
    uint64_t physical;
    uint8_t *memory;
    tear->size = 0;
    if (!reads_and_writes(e, &tear->address, &tear->size) || !may_store(e, tear->address) ||
        (memory = ram_of(e, tear->address, tear->size, &physical)) == NULL) {
        tear->size = 0;
        return;
    }
    tear->value = 0;
    memcpy(&tear->value, memory, tear->size);
}

bool tear_end(struct engine *e)
{
    struct tear *tear = &e->current->tear;
    uint64_t address, physical;
    int size, wanted = tear->size;
    uint8_t *memory;
    tear->size = 0;
    /* The instruction may have changed, and its page may have gone: then it was not begun. */
    if (wanted == 0 || !reads_and_writes(e, &address, &size) || address != tear->address ||
        size != wanted || !may_store(e, address) ||
        (memory = ram_of(e, address, size, &physical)) == NULL)
        return false;
    mark_note_memory(e, physical, physical + size);
    tear->ended = size;
    memcpy(&tear->theirs, memory, size);
    memcpy(memory, &tear->value, size);
    code_pages_invalidate(e, physical, physical + size);
    return true;
}

void tear_again(struct engine *e)
{
    struct tear *tear = &e->current->tear;
    uint64_t physical;
    uint8_t *memory = ram_of(e, tear->address, tear->ended, &physical);
    if (memory != NULL)
        memcpy(memory, &tear->theirs, tear->ended);
    tear->size = tear->ended;
}
