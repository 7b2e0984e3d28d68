/* SPDX-License-Identifier: BSD-2-Clause */
/* F2XM1, FYL2X and FYL2XP1 (Intel SDM vol. 2). */
#include "x87.h"
#include "x87_tables.h"

static const struct wide ln_2 = {LN_2, -1, false};
static const struct wide two_over_ln_2 = {TWO_OVER_LN_2, 1, false};

/* ---- 2^x - 1 ---- */

/* (e^t - 1) / t = 1 + t/2! + t^2/3! + ..., for |t| < ln 2. */
static struct wide power_less_one(const struct operand *x)
{
    struct wide t = product(wide_operand(x), ln_2);
    u128 size = fixed(t, 128);
    u128 ratio = x->negative ? alternating_series(exponential_terms, EXPONENTIAL_TERMS, size)
                             : series(exponential_terms, EXPONENTIAL_TERMS, size);
    return inexact(product(t, wide_of(false, 0, ratio)));
}

EXPORT void helper_f2xm1_x86_64(void *env)
{
    struct operand x;
    if (!x87_begin(env, UNARY, &x, NULL) || x.kind == ZERO)
        return;
    bool one = x.kind == FINITE && x.exponent == 0 && x.mantissa == 1ull << 63;
    if (one && x.negative) /* 2^-1 - 1 */
        x87_put(env, UNARY, (struct wide){TOP_BIT, -1, true});
    else if (x.kind == INFINITE || x.exponent >= 0 || !x87_denormal(env, &x, NULL))
        return; /* 2^1 - 1 is 1; outside of its range the operand stays, as the SDM leaves that open */
    else
        x87_put(env, UNARY, power_less_one(&x));
}

/* ---- logarithms ---- */

/* log2 m = 2/ln 2 * artanh s, s = (m - 1) / (m + 1), for |s| <= 0.1716. */
static struct wide logarithm_by(struct wide s)
{
    u128 ratio = series(odd_reciprocals, ODD_RECIPROCALS, square(s));
    return inexact(product(product(s, wide_of(false, 0, ratio)), two_over_ln_2));
}

/* log2 of a number above 0; exact for a power of 2. */
static struct wide logarithm(struct wide number)
{
    enum { POINT = 126, INTEGER_POINT = 112 };
    const u128 one = (u128)1 << POINT;
    int whole = number.exponent;
    u128 m = number.mantissa >> 1; /* [1, 2) */
    if (number.mantissa > SQRT_2) {
        m >>= 1;
        whole++;
    }
    bool below = m < one;
    struct wide fraction = {0, 0, false};
    if (m != one)
        fraction = logarithm_by(quotient(wide_of(below, 1, below ? one - m : m - one),
                                         wide_of(false, 1, m + one)));
    if (whole == 0)
        return fraction;
    u128 size = (u128)(whole < 0 ? -whole : whole) << INTEGER_POINT;
    if (fraction.mantissa == 0)
        return wide_of(whole < 0, 127 - INTEGER_POINT, size);
    u128 part = fixed(fraction, INTEGER_POINT);
    size = (whole < 0) == below ? size + part : size - part;
    return inexact(wide_of(whole < 0, 127 - INTEGER_POINT, size));
}

/* log2 (1 + x), for x > -1 and not 0. */
static struct wide logarithm_of_one_plus(const struct operand *x)
{
    enum { POINT = 125, SMALL = -3 };
    struct wide addend = wide_operand(x);
    if (x->exponent <= SMALL) { /* near 0, where 1 + x would lose digits: s = x / (2 + x) */
        u128 two = (u128)2 << POINT, part = fixed(addend, POINT);
        return logarithm_by(quotient(addend, wide_of(false, 2, x->negative ? two - part : two + part)));
    }
    if (x->exponent < 0) {
        u128 one = (u128)1 << POINT, part = fixed(addend, POINT);
        return logarithm(wide_of(false, 2, x->negative ? one - part : one + part));
    }
    u128 one = shifted_right(TOP_BIT >> 1, x->exponent);
    return logarithm(wide_of(false, x->exponent + 1, (addend.mantissa >> 1) + one));
}

/* ST1 times a logarithm, which is not 0 and may be infinite. */
static void multiply(void *env, const struct operand *y, bool negative, const struct wide *finite)
{
    if (y->kind == ZERO && finite == NULL)
        x87_invalid(env, POPS);
    else if (y->kind == ZERO)
        x87_put_zero(env, POPS, y->negative != negative);
    else if (y->kind == INFINITE || finite == NULL)
        x87_put_infinity(env, POPS, y->negative != negative);
    else
        x87_put(env, POPS, product(wide_operand(y), *finite));
}

/* Its logarithm is 0, of that sign. */
static void multiply_zero(void *env, const struct operand *y, bool negative)
{
    if (y->kind == INFINITE)
        x87_invalid(env, POPS);
    else
        x87_put_zero(env, POPS, y->negative != negative);
}

EXPORT void helper_fyl2x_x86_64(void *env)
{
    struct operand x, y;
    if (!x87_begin(env, POPS, &x, &y))
        return;
    if ((x.kind != ZERO && x.negative) || (x.kind == ZERO && y.kind == ZERO)) {
        x87_invalid(env, POPS);
        return;
    }
    bool one = x.kind == FINITE && x.exponent == 0 && x.mantissa == 1ull << 63;
    if ((one && y.kind == INFINITE) || (x.kind == INFINITE && y.kind == ZERO)) {
        x87_invalid(env, POPS);
        return;
    }
    if (!x87_denormal(env, &x, &y))
        return;
    if (x.kind == ZERO) {
        if (y.kind == INFINITE || x87_raise(env, FPUS_ZE))
            multiply(env, &y, true, NULL);
    } else if (x.kind == INFINITE) {
        multiply(env, &y, false, NULL);
    } else if (one) {
        multiply_zero(env, &y, false);
    } else {
        struct wide value = logarithm(wide_operand(&x));
        multiply(env, &y, value.negative, &value);
    }
}

/* Outside of the range that the SDM gives, the result is that of the same formula. */
EXPORT void helper_fyl2xp1_x86_64(void *env)
{
    struct operand x, y;
    if (!x87_begin(env, POPS, &x, &y))
        return;
    bool beyond = x.kind != ZERO && x.negative && (x.kind == INFINITE || x.exponent >= 0);
    if (beyond || (x.kind == ZERO && y.kind == INFINITE) || (x.kind == INFINITE && y.kind == ZERO)) {
        x87_invalid(env, POPS);
        return;
    }
    if (!x87_denormal(env, &x, &y))
        return;
    if (x.kind == ZERO) {
        multiply_zero(env, &y, x.negative);
    } else if (x.kind == INFINITE) {
        multiply(env, &y, false, NULL);
    } else {
        struct wide value = logarithm_of_one_plus(&x);
        multiply(env, &y, value.negative, &value);
    }
}
