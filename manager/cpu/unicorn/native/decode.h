/* SPDX-License-Identifier: BSD-2-Clause */
/* As much of an instruction as rules about operands need: see decode.c. */
#ifndef VMMGR_DECODE_H
#define VMMGR_DECODE_H

#include <stdbool.h>
#include <stdint.h>

enum opcode_map { MAP_ONE_BYTE, MAP_0F, MAP_0F38, MAP_0F3A, MAP_VEX };
enum mandatory { NONE, P66, PF3, PF2 }; /* the prefix that chooses among instructions of one opcode */
enum { SEGMENT_ES, SEGMENT_CS, SEGMENT_SS, SEGMENT_DS, SEGMENT_FS, SEGMENT_GS, NO_SEGMENT = -1 };

struct instruction {
    enum opcode_map map;
    uint8_t opcode;
    bool has_modrm;
    uint8_t modrm;
    bool lock, operand_size, address_size, rex_w;
    uint8_t repeat;      /* F2h, F3h or 0 */
    int override;        /* segment, or NO_SEGMENT */
    bool code64, code32; /* the mode it was decoded for */
    int segment;         /* of the operand that ModRM names */
};

struct engine;

/* Reads an instruction at a linear address. May fault where fetching it would. */
void decode(struct engine *e, uint64_t linear, bool code64, bool code32, struct instruction *i);

static inline int modrm_mod(const struct instruction *i) { return i->modrm >> 6; }
static inline int modrm_reg(const struct instruction *i) { return i->modrm >> 3 & 7; }
static inline int modrm_rm(const struct instruction *i) { return i->modrm & 7; }

static inline bool in_memory(const struct instruction *i)
{
    return i->has_modrm && modrm_mod(i) != 3;
}

static inline enum mandatory mandatory_prefix(const struct instruction *i)
{
    if (i->repeat)
        return i->repeat == 0xf3 ? PF3 : PF2;
    return i->operand_size ? P66 : NONE;
}

/* Must its operand in memory lie at a multiple of 16? */
bool needs_alignment(const struct instruction *i);
/* Is it a form that no CPU has, though Unicorn executes it? */
bool is_undefined(const struct instruction *i);

/* translation.c: what it adds to the weight of its block, and the weight at which a block ends. */
enum { HEAVIEST_BLOCK = 256 };
int weight_of(const struct instruction *i);

#endif
