/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What kind of instruction is this? Prefixes, opcode, ModRM (Intel SDM vol. 2, chapter 2 and
 * appendix A), and the rules that Unicorn's translator leaves out.
 */
#include "decode.h"

#include "engine.h"

enum { LONGEST = 15 };

static uint8_t next_byte(struct engine *e, uint64_t *at, bool code64)
{
    uint64_t linear = (*at)++;
    return (uint8_t)unicorn.load_code(e->env, code64 ? linear : (uint32_t)linear);
}

/* Opcodes without a ModRM byte, a bit each: of one byte, and behind 0Fh. */
static const uint8_t no_modrm[2][32] = {
    {0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xff, 0xff, 0xff, 0xff, 0xf3, 0xf5, 0xff, 0xff,
     0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0c, 0xff, 0xf0, 0x00, 0xff, 0xff, 0x3f, 0x3f},
    {0xf0, 0x5f, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x00,
     0xff, 0xff, 0x00, 0x00, 0x07, 0x07, 0x00, 0x00, 0x00, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00},
};

static bool takes_modrm(const struct instruction *i)
{
    if (i->map == MAP_VEX)
        return false;
    if (i->map == MAP_0F38 || i->map == MAP_0F3A)
        return true;
    uint8_t without = no_modrm[i->map == MAP_0F][i->opcode >> 3] >> (i->opcode & 7) & 1;
    return !without;
}

/* The segment that an operand in memory is in unless a prefix says otherwise. */
static int default_segment(struct engine *e, const struct instruction *i, uint64_t at)
{
    enum { ESP = 4, EBP = 5, BP_SI = 2, BP_DI = 3, BP = 6 };
    int mod = modrm_mod(i), rm = modrm_rm(i);
    bool wide = i->code64 ? true : i->code32 != i->address_size;
    if (!wide)
        return rm == BP_SI || rm == BP_DI || (rm == BP && mod != 0) ? SEGMENT_SS : SEGMENT_DS;
    if (rm == ESP) {
        int base = next_byte(e, &at, i->code64) & 7;
        return base == ESP || (base == EBP && mod != 0) ? SEGMENT_SS : SEGMENT_DS;
    }
    return rm == EBP && mod != 0 ? SEGMENT_SS : SEGMENT_DS;
}

void decode(struct engine *e, uint64_t linear, bool code64, bool code32, struct instruction *i)
{
    uint64_t at = linear;
    *i = (struct instruction){.override = NO_SEGMENT, .code64 = code64, .code32 = code32};
    for (int length = 0; length < LONGEST; length++) {
        uint8_t byte = next_byte(e, &at, code64);
        if (code64 && (byte & 0xf0) == 0x40) {
            i->rex_w = byte & 8;
            byte = next_byte(e, &at, code64); /* REX counts right before the opcode only */
            if ((byte & 0xf0) == 0x40) {
                at--;
                continue;
            }
        }
        switch (byte) {
        case 0x26: i->override = SEGMENT_ES; i->rex_w = false; continue;
        case 0x2e: i->override = SEGMENT_CS; i->rex_w = false; continue;
        case 0x36: i->override = SEGMENT_SS; i->rex_w = false; continue;
        case 0x3e: i->override = SEGMENT_DS; i->rex_w = false; continue;
        case 0x64: i->override = SEGMENT_FS; i->rex_w = false; continue;
        case 0x65: i->override = SEGMENT_GS; i->rex_w = false; continue;
        case 0x66: i->operand_size = true; i->rex_w = false; continue;
        case 0x67: i->address_size = true; i->rex_w = false; continue;
        case 0xf0: i->lock = true; i->rex_w = false; continue;
        case 0xf2: case 0xf3: i->repeat = byte; i->rex_w = false; continue;
        }
        i->opcode = byte;
        break;
    }
    if (i->opcode == 0x0f) {
        i->map = MAP_0F;
        i->opcode = next_byte(e, &at, code64);
        if (i->opcode == 0x38 || i->opcode == 0x3a) {
            i->map = i->opcode == 0x38 ? MAP_0F38 : MAP_0F3A;
            i->opcode = next_byte(e, &at, code64);
        }
    }
    if (takes_modrm(i)) {
        i->has_modrm = true;
        i->modrm = next_byte(e, &at, code64);
        bool vex = i->map == MAP_ONE_BYTE && (i->opcode == 0xc4 || i->opcode == 0xc5 || i->opcode == 0x62);
        if (vex && (code64 || modrm_mod(i) == 3))
            i->map = MAP_VEX;
        else if (modrm_mod(i) != 3)
            i->segment = i->override != NO_SEGMENT ? i->override : default_segment(e, i, at);
    }
}

static bool within(uint8_t opcode, uint8_t first, uint8_t last)
{
    return opcode >= first && opcode <= last;
}

/* SSE to SSE3 behind 0Fh. */
static bool aligned_0f(uint8_t opcode, enum mandatory prefix)
{
    bool packed = prefix == NONE || prefix == P66;
    switch (opcode) {
    case 0x12: case 0x16:
        return prefix == PF3; /* MOVSLDUP, MOVSHDUP */
    case 0x14: case 0x15: case 0x28: case 0x29: case 0x2b: case 0xc2: case 0xc6:
        return packed;
    case 0x2c: case 0x2d:
        return prefix == P66; /* CVTTPD2PI, CVTPD2PI */
    case 0x5a:
        return prefix == P66; /* CVTPD2PS; CVTPS2PD takes eight bytes */
    case 0x5b:
        return prefix != PF2;
    case 0x6e: case 0x7e: case 0xc4: case 0xc5: case 0xd6: case 0xd7: case 0xf7:
        return false;
    case 0x6f: case 0x7f:
        return prefix == P66; /* MOVDQA */
    case 0x70:
        return prefix != NONE;
    case 0x7c: case 0x7d: case 0xd0: case 0xe6:
        return prefix == P66 || prefix == PF2;
    }
    if (within(opcode, 0x51, 0x5f))
        return packed;
    if (within(opcode, 0x60, 0x6d) || within(opcode, 0x74, 0x76) || within(opcode, 0xd1, 0xfe))
        return prefix == P66;
    return false;
}

/* SSSE3, SSE4 and AES behind 0F38h, all with 66h; PMOVSX and PMOVZX take less than 16 bytes. */
static bool aligned_0f38(uint8_t opcode)
{
    return within(opcode, 0x00, 0x0b) || opcode == 0x10 || opcode == 0x14 || opcode == 0x15 ||
           opcode == 0x17 || within(opcode, 0x1c, 0x1e) || within(opcode, 0x28, 0x2b) ||
           within(opcode, 0x37, 0x41) || within(opcode, 0xdb, 0xdf);
}

/* The same behind 0F3Ah; the string comparisons are exempt. */
static bool aligned_0f3a(uint8_t opcode)
{
    return within(opcode, 0x08, 0x09) || within(opcode, 0x0c, 0x0f) || within(opcode, 0x40, 0x42) ||
           opcode == 0x44 || opcode == 0xdf;
}

bool needs_alignment(const struct instruction *i)
{
    if (!in_memory(i))
        return false;
    switch (i->map) {
    case MAP_0F:
        return aligned_0f(i->opcode, mandatory_prefix(i));
    case MAP_0F38:
        return mandatory_prefix(i) == P66 && aligned_0f38(i->opcode);
    case MAP_0F3A:
        return mandatory_prefix(i) == P66 && aligned_0f3a(i->opcode);
    default:
        return false;
    }
}

/* LOCK goes with these only, and only with a destination in memory (vol. 2, LOCK). */
static bool may_lock(const struct instruction *i)
{
    uint8_t opcode = i->opcode;
    int reg = modrm_reg(i);
    if (!in_memory(i))
        return false;
    if (i->map == MAP_ONE_BYTE) {
        if (opcode < 0x40) /* ADD OR ADC SBB AND SUB XOR, and not CMP */
            return (opcode & 7) <= 1 && opcode < 0x38;
        switch (opcode) {
        case 0x80: case 0x81: case 0x82: case 0x83:
            return reg != 7;
        case 0x86: case 0x87: /* XCHG */
            return true;
        case 0xf6: case 0xf7: /* NOT NEG */
            return reg == 2 || reg == 3;
        case 0xfe: case 0xff: /* INC DEC */
            return reg <= 1;
        }
        return false;
    }
    if (i->map != MAP_0F)
        return false;
    switch (opcode) {
    case 0xab: case 0xb3: case 0xbb: /* BTS BTR BTC */
    case 0xb0: case 0xb1: case 0xc0: case 0xc1: /* CMPXCHG XADD */
        return true;
    case 0xba:
        return reg >= 5;
    case 0xc7: /* CMPXCHG8B, CMPXCHG16B */
        return reg == 1;
    }
    return false;
}

bool is_undefined(const struct instruction *i)
{
    enum { MOV_CR0 = 0x20, MOV_CR8_BY_LOCK = 0x22 };
    if (i->lock && !may_lock(i)) {
        bool cr = i->map == MAP_0F && (i->opcode == MOV_CR0 || i->opcode == MOV_CR8_BY_LOCK);
        return !cr; /* AMD: LOCK MOV CR0 is MOV CR8 */
    }
    bool movbe = i->map == MAP_0F38 && (i->opcode == 0xf0 || i->opcode == 0xf1);
    return movbe && i->repeat != 0xf2 && modrm_mod(i) == 3;
}
