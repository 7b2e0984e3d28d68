/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Operands, exceptions and rounding of the x87 instructions that are computed here.
 *
 * Intel SDM vol. 1: 4.8.3.5 and 4.9.1 (NaNs), 8.1.3 (status word), 8.2.2 (formats that are not
 * supported), 8.5 (exceptions and what they give when masked), 4.9.1.5 (underflow).
 */
#include "x87.h"

struct number {
    uint64_t mantissa;
    uint16_t top; /* sign and biased exponent */
};

enum {
    SIGN = 0x8000,
    SPECIAL = 0x7fff, /* exponent of infinity and NaNs */
    BIAS = 16383,
    WRAPPED = 24576, /* exponents are moved by it where overflow or underflow is not masked */
    EXCEPTIONS = 0x3f,
};
#define INTEGER_BIT (1ull << 63)
#define QUIET_BIT (1ull << 62)

static const struct number default_nan = {INTEGER_BIT | QUIET_BIT, SIGN | SPECIAL};

/* ---- the register stack ---- */

static int slot(void *env, int st)
{
    return (FIELD(uint32_t, env, ENV_FPSTT) + st) & 7;
}

static bool is_empty(void *env, int st)
{
    return FIELD(uint8_t, env, ENV_FPTAGS + slot(env, st));
}

static struct number get(void *env, int st)
{
    int at = ENV_FPREGS + 16 * slot(env, st);
    return (struct number){FIELD(uint64_t, env, at), FIELD(uint16_t, env, at + 8)};
}

static void put(void *env, int st, struct number value)
{
    int at = ENV_FPREGS + 16 * slot(env, st);
    FIELD(uint64_t, env, at) = value.mantissa;
    FIELD(uint16_t, env, at + 8) = value.top;
    FIELD(uint8_t, env, ENV_FPTAGS + slot(env, st)) = false;
}

static void push(void *env, struct number value)
{
    FIELD(uint32_t, env, ENV_FPSTT) = slot(env, -1);
    put(env, 0, value);
}

static void pop(void *env)
{
    FIELD(uint8_t, env, ENV_FPTAGS + slot(env, 0)) = true;
    FIELD(uint32_t, env, ENV_FPSTT) = slot(env, 1);
}

/* FST and FSTP to a register make it valid, which the instructions here look at. */
EXPORT void helper_fmov_STN_ST0_x86_64(void *env, int st)
{
    put(env, st, get(env, 0));
}

static void put_result(void *env, enum shape shape, struct number value)
{
    put(env, shape == POPS ? 1 : 0, value);
    if (shape == POPS)
        pop(env);
}

/* ---- exceptions ---- */

static unsigned unmasked(void *env)
{
    return ~FIELD(uint16_t, env, ENV_FPUC) & EXCEPTIONS;
}

bool x87_raise(void *env, unsigned flags)
{
    FIELD(uint16_t, env, ENV_FPUS) |= flags;
    if (!(flags & unmasked(env)))
        return true;
    FIELD(uint16_t, env, ENV_FPUS) |= FPUS_ES | FPUS_BUSY;
    return false;
}

/* A NaN is the result, or all of the two. */
static void put_nan(void *env, enum shape shape, struct number nan)
{
    put_result(env, shape, nan);
    if (shape == PUSHES)
        push(env, nan);
}

void x87_invalid(void *env, enum shape shape)
{
    if (x87_raise(env, FPUS_IE))
        put_nan(env, shape, default_nan);
}

bool x87_denormal(void *env, const struct operand *x, const struct operand *y)
{
    bool any = x->denormal || (y != NULL && y->denormal);
    return !any || x87_raise(env, FPUS_DE);
}

/* ---- operands ---- */

static bool is_nan(struct number n)
{
    return (n.top & SPECIAL) == SPECIAL && n.mantissa << 1 != 0;
}

static bool is_signaling(struct number n)
{
    return is_nan(n) && !(n.mantissa & QUIET_BIT);
}

/* Unnormals, pseudo-infinities and pseudo-NaNs. */
static bool is_unsupported(struct number n)
{
    return (n.top & SPECIAL) != 0 && !(n.mantissa & INTEGER_BIT);
}

static struct operand operand_of(struct number n)
{
    struct operand x = {.negative = n.top & SIGN, .mantissa = n.mantissa};
    int biased = n.top & SPECIAL;
    if (biased == SPECIAL) {
        x.kind = INFINITE;
    } else if (n.mantissa == 0) {
        x.kind = ZERO;
    } else {
        int zeros = __builtin_clzll(n.mantissa);
        x.kind = FINITE;
        x.denormal = biased == 0;
        x.exponent = (biased == 0 ? 1 : biased) - BIAS - zeros;
        x.mantissa = n.mantissa << zeros;
    }
    return x;
}

/* Of two NaNs the quiet one, else the one with the larger mantissa, else the positive one. */
static struct number chosen_nan(struct number a, struct number b)
{
    if (!is_nan(b))
        return a;
    if (!is_nan(a))
        return b;
    if (is_signaling(a) != is_signaling(b))
        return is_signaling(a) ? b : a;
    if (a.mantissa != b.mantissa)
        return a.mantissa > b.mantissa ? a : b;
    return a.top & SIGN ? b : a;
}

bool x87_begin(void *env, enum shape shape, struct operand *x, struct operand *y)
{
    FIELD(uint16_t, env, ENV_FPUS) &= ~(FPUS_C1 | FPUS_C2);
    bool underflow = is_empty(env, 0) || (y != NULL && is_empty(env, 1));
    bool overflow = shape == PUSHES && !is_empty(env, -1);
    if (underflow || overflow) {
        FIELD(uint16_t, env, ENV_FPUS) |= FPUS_SF | (underflow ? 0 : FPUS_C1);
        x87_invalid(env, shape);
        return false;
    }

    struct number a = get(env, 0), b = y != NULL ? get(env, 1) : a;
    if (is_unsupported(a) || is_unsupported(b)) {
        x87_invalid(env, shape);
        return false;
    }
    if (is_nan(a) || is_nan(b)) {
        struct number nan = chosen_nan(a, b);
        nan.mantissa |= QUIET_BIT;
        if ((!is_signaling(a) && !is_signaling(b)) || x87_raise(env, FPUS_IE))
            put_nan(env, shape, nan);
        return false;
    }
    *x = operand_of(a);
    if (y != NULL)
        *y = operand_of(b);
    return true;
}

/* ---- results ---- */

static bool rounds_up(void *env, bool negative, uint64_t kept, uint64_t rest)
{
    enum { NEAREST, DOWN, UP };
    switch (FIELD(uint16_t, env, ENV_FPUC) >> 10 & 3) {
    case NEAREST:
        return rest > INTEGER_BIT || (rest == INTEGER_BIT && (kept & 1));
    case DOWN:
        return negative && rest != 0;
    case UP:
        return !negative && rest != 0;
    default:
        return false;
    }
}

/* Beyond the largest number: infinity, or the largest where rounding is towards it. */
static struct number overflown(void *env, uint16_t sign, unsigned *flags)
{
    *flags |= FPUS_OE | FPUS_PE;
    if (!rounds_up(env, sign, 1, INTEGER_BIT + 1))
        return (struct number){~0ull, sign | (SPECIAL - 1)};
    *flags |= FPUS_C1;
    return (struct number){INTEGER_BIT, sign | SPECIAL};
}

/* A wide number as a register has it, and the flags of the status word that this sets. */
static struct number rounded(void *env, struct wide w, unsigned *flags)
{
    uint16_t sign = w.negative ? SIGN : 0;
    if (w.mantissa == 0)
        return (struct number){0, sign};

    int biased = w.exponent + BIAS;
    uint64_t kept = w.mantissa >> 64, rest = (uint64_t)w.mantissa;
    bool up = rounds_up(env, w.negative, kept, rest);
    bool carries = up && kept == ~0ull;
    if (biased + carries < 1) { /* too small, as seen after rounding */
        if (unmasked(env) & FPUS_UE) {
            *flags |= FPUS_UE;
            biased += WRAPPED;
        } else {
            int shift = 1 - biased;
            u128 cut = shift < 128 ? w.mantissa << (128 - shift) : w.mantissa;
            w.mantissa = shifted_right(w.mantissa, shift) | (cut != 0);
            kept = w.mantissa >> 64;
            rest = (uint64_t)w.mantissa;
            up = rounds_up(env, w.negative, kept, rest);
            carries = false;
            *flags |= rest != 0 ? FPUS_UE : 0;
            biased = 0;
        }
    }
    *flags |= (rest != 0 ? FPUS_PE : 0) | (up ? FPUS_C1 : 0);
    kept += up;
    if (carries) {
        kept = INTEGER_BIT;
        biased++;
    }
    if (biased == 0 && (kept & INTEGER_BIT))
        biased = 1;
    if (biased >= SPECIAL) {
        if (!(unmasked(env) & FPUS_OE))
            return overflown(env, sign, flags);
        *flags |= FPUS_OE;
        biased -= WRAPPED;
    }
    return (struct number){kept, sign | biased};
}

void x87_put(void *env, enum shape shape, struct wide result)
{
    unsigned flags = 0;
    put_result(env, shape, rounded(env, result, &flags));
    x87_raise(env, flags);
}

void x87_put_two(void *env, struct wide in_st1, struct wide pushed)
{
    unsigned flags = 0;
    put(env, 0, rounded(env, in_st1, &flags));
    push(env, rounded(env, pushed, &flags));
    x87_raise(env, flags);
}

void x87_put_zero(void *env, enum shape shape, bool negative)
{
    put_result(env, shape, (struct number){0, negative ? SIGN : 0});
}

void x87_put_infinity(void *env, enum shape shape, bool negative)
{
    put_result(env, shape, (struct number){INTEGER_BIT, (negative ? SIGN : 0) | SPECIAL});
}
