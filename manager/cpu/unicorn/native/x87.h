/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x87 arithmetic in integers, for the instructions that Unicorn gives to the host's libm or computes
 * in the host's doubles: their results are to be the same bits on every host.
 *
 * No float, double or long double appears in these files. A result is computed to about 2^-110 of
 * itself and rounded once, so it is the nearest number of 64 bits but for one in 2^40 cases or less.
 */
#ifndef VMMGR_X87_H
#define VMMGR_X87_H

#include "layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef unsigned __int128 u128;

#define U128(high, low) ((u128)(high) << 64 | (low))
#define TOP_BIT ((u128)1 << 127)

/* mantissa * 2^(exponent - 127). The mantissa has its top bit set, or is 0. Its lowest bit is set
 * when anything below it is not 0, so that rounding sees what was cut off. */
struct wide {
    u128 mantissa;
    int exponent;
    bool negative;
};

/* An operand other than a NaN: what it is, and its value if it is finite. */
enum kind { ZERO, FINITE, INFINITE };
struct operand {
    enum kind kind;
    bool denormal; /* or a pseudo-denormal */
    bool negative;
    int exponent;      /* of the mantissa's top bit */
    uint64_t mantissa; /* its top bit set */
};

/* Where an instruction's operands are and where its results go. */
enum shape {
    UNARY,  /* ST0 to ST0 */
    PUSHES, /* ST0 to ST0, and one more pushed */
    BINARY, /* ST0 and ST1 to ST0 */
    POPS,   /* ST0 and ST1 to ST1, then ST0 is popped */
};

/* Status word (SDM vol. 1, 8.1.3). */
enum {
    FPUS_IE = 0x01,
    FPUS_DE = 0x02,
    FPUS_ZE = 0x04,
    FPUS_OE = 0x08,
    FPUS_UE = 0x10,
    FPUS_PE = 0x20,
    FPUS_SF = 0x40,
    FPUS_ES = 0x80,
    FPUS_C0 = 0x100,
    FPUS_C1 = 0x200,
    FPUS_C2 = 0x400,
    FPUS_C3 = 0x4000,
    FPUS_BUSY = 0x8000,
};

/* Clears C1 and C2 and reads the operands; `y` is ST1's, or NULL. False if the instruction is over:
 * the stack is at fault, or an operand is a NaN or no number. */
bool x87_begin(void *env, enum shape shape, struct operand *x, struct operand *y);
/* Is an operand denormal? Notes it; false if that ends the instruction. */
bool x87_denormal(void *env, const struct operand *x, const struct operand *y);
/* Sets bits of the status word; false if they are exceptions that are not masked. */
bool x87_raise(void *env, unsigned flags);

/* The results, rounded as the control word has it, with the exceptions that this raises. */
void x87_put(void *env, enum shape shape, struct wide result);
void x87_put_two(void *env, struct wide in_st1, struct wide pushed);
void x87_put_zero(void *env, enum shape shape, bool negative);
void x87_put_infinity(void *env, enum shape shape, bool negative);
/* An operation that has no result: IE, and the default NaN if that is masked. */
void x87_invalid(void *env, enum shape shape);

/* ---- fixed-point arithmetic ---- */

/* The upper half of a product, and whether the lower one is not 0. */
static inline u128 high_cut(u128 a, u128 b, bool *cut)
{
    uint64_t a1 = a >> 64, a0 = (uint64_t)a, b1 = b >> 64, b0 = (uint64_t)b;
    u128 low = (u128)a0 * b0, cross = (u128)a1 * b0 + (low >> 64);
    u128 other = (u128)a0 * b1 + (uint64_t)cross;
    *cut = (uint64_t)low != 0 || (uint64_t)other != 0;
    return (u128)a1 * b1 + (cross >> 64) + (other >> 64);
}

static inline u128 high(u128 a, u128 b)
{
    bool cut;
    return high_cut(a, b, &cut);
}

static inline u128 shifted_right(u128 value, int count)
{
    return count < 128 ? value >> count : 0;
}

static inline int leading_zeros(u128 value)
{
    uint64_t top = value >> 64;
    return top != 0 ? __builtin_clzll(top) : 64 + __builtin_clzll((uint64_t)value);
}

/* value * 2^(exponent - 127) */
static inline struct wide wide_of(bool negative, int exponent, u128 value)
{
    if (value == 0)
        return (struct wide){0, 0, negative};
    int zeros = leading_zeros(value);
    return (struct wide){value << zeros, exponent - zeros, negative};
}

static inline struct wide wide_operand(const struct operand *x)
{
    return (struct wide){(u128)x->mantissa << 64, x->exponent, x->negative};
}

static inline struct wide inexact(struct wide a)
{
    a.mantissa |= 1;
    return a;
}

static inline struct wide product(struct wide a, struct wide b)
{
    bool cut;
    u128 upper = high_cut(a.mantissa, b.mantissa, &cut);
    struct wide result = wide_of(a.negative != b.negative, a.exponent + b.exponent + 1, upper);
    result.mantissa |= cut;
    return result;
}

static inline struct wide quotient(struct wide a, struct wide b)
{
    u128 rest = a.mantissa, digits = 0;
    bool carry = false;
    for (int n = 0; n < 128; n++) {
        bool fits = carry || rest >= b.mantissa;
        digits = digits << 1 | fits;
        if (fits)
            rest -= b.mantissa;
        carry = rest >> 127;
        rest <<= 1;
    }
    struct wide result = wide_of(a.negative != b.negative, a.exponent - b.exponent, digits);
    result.mantissa |= rest != 0 || carry;
    return result;
}

/* a as a multiple of 2^-bits, cut. */
static inline u128 fixed(struct wide a, int bits)
{
    return shifted_right(a.mantissa, 127 - bits - a.exponent);
}

/* The square of a number below 1 as a multiple of 2^-128. */
static inline u128 square(struct wide a)
{
    return shifted_right(high(a.mantissa, a.mantissa), -2 * a.exponent - 2);
}

/* c[0] + z c[1] + z^2 c[2] ..., and c[0] - z c[1] + z^2 c[2] - ..., for 0 <= z < 1 in 2^-128. */
static inline u128 series(const u128 *c, int count, u128 z)
{
    u128 sum = c[count - 1];
    for (int n = count - 2; n >= 0; n--)
        sum = c[n] + high(z, sum);
    return sum;
}

static inline u128 alternating_series(const u128 *c, int count, u128 z)
{
    u128 sum = c[count - 1];
    for (int n = count - 2; n >= 0; n--)
        sum = c[n] - high(z, sum);
    return sum;
}

#endif
