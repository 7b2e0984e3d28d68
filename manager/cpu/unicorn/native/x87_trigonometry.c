/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * FSIN, FCOS, FSINCOS and FPTAN (Intel SDM vol. 2; vol. 1, 8.3.8 and 8.3.10).
 *
 * The SDM names the pi by which an operand is reduced: 66 bits of it, and no more. So the result is
 * the sine of what is left over after that, which near a multiple of the real pi is not the sine of
 * the operand. The reduction itself is exact, by a division of integers.
 */
#include "x87.h"
#include "x87_tables.h"

/* pi/2 in units of 2^-65: the mantissa C90FDAA2 2168C234 C of SDM vol. 1, 8.3.8. */
#define HALF_PI U128(0x3, 0x243f6a8885a308d3)
enum { UNITS = 65 };

/* An operand is quadrant * pi/2 + rest, with |rest| <= pi/4. */
struct angle {
    unsigned quadrant;
    struct wide rest;
};

static struct angle reduced(const struct operand *x)
{
    struct angle angle = {0, wide_operand(x)};
    if (x->exponent < -1) /* below 1/2 */
        return angle;
    u128 whole = (u128)x->mantissa << (x->exponent + UNITS - 63);
    u128 count = whole / HALF_PI, rest = whole % HALF_PI;
    bool beyond = rest > HALF_PI / 2;
    if (beyond) {
        rest = HALF_PI - rest;
        count++;
    }
    angle.quadrant = x->negative ? -(unsigned)count & 3 : (unsigned)count & 3;
    angle.rest = wide_of(x->negative != beyond, 127 - UNITS, rest);
    return angle;
}

/* Neither series is ever 1: the last bit, which is cut, is missing from it. */
static struct wide sine_of_rest(struct wide rest)
{
    u128 z = square(rest);
    u128 ratio = ~high(z, alternating_series(sine_terms, SINE_TERMS, z));
    return inexact(product(rest, wide_of(false, -1, ratio)));
}

static struct wide cosine_of_rest(struct wide rest)
{
    u128 z = square(rest);
    return inexact(wide_of(false, -1, ~high(z, alternating_series(cosine_terms, COSINE_TERMS, z))));
}

/* A small one by r + r^3/3, whose last bit is one too many: the tangent is never r itself. */
static struct wide tangent_of_rest(struct wide rest)
{
    enum { SMALL = -32 };
    if (rest.exponent > SMALL)
        return quotient(sine_of_rest(rest), cosine_of_rest(rest));
    return product(rest, wide_of(false, 0, TOP_BIT + square(rest) / 6 + 1));
}

static struct wide sine(struct angle angle)
{
    struct wide value = angle.quadrant & 1 ? cosine_of_rest(angle.rest) : sine_of_rest(angle.rest);
    value.negative ^= angle.quadrant >> 1;
    return value;
}

static struct wide cosine(struct angle angle)
{
    angle.quadrant = (angle.quadrant + 1) & 3;
    return sine(angle);
}

static const struct wide one = {TOP_BIT, 0, false};
static const struct wide minus_one = {TOP_BIT, 0, true};

static struct wide tangent(struct angle angle)
{
    struct wide value = tangent_of_rest(angle.rest);
    return inexact(angle.quadrant & 1 ? quotient(minus_one, value) : value);
}

/* The beginning of all four: an operand that is finite, not 0, and in range. Zero has results
 * that are exact. */
enum begun { OVER, IS_ZERO, READY };
static enum begun begin(void *env, enum shape shape, struct operand *x)
{
    enum { RANGE = 63 };
    if (!x87_begin(env, shape, x, NULL))
        return OVER;
    if (x->kind == INFINITE) {
        x87_invalid(env, shape);
        return OVER;
    }
    if (x->kind == ZERO)
        return IS_ZERO;
    if (x->exponent >= RANGE) {
        FIELD(uint16_t, env, ENV_FPUS) |= FPUS_C2;
        return OVER;
    }
    return x87_denormal(env, x, NULL) ? READY : OVER;
}

static struct wide zero(bool negative)
{
    return (struct wide){0, 0, negative};
}

EXPORT void helper_fsin_x86_64(void *env)
{
    struct operand x;
    enum begun begun = begin(env, UNARY, &x);
    if (begun == READY)
        x87_put(env, UNARY, sine(reduced(&x)));
}

EXPORT void helper_fcos_x86_64(void *env)
{
    struct operand x;
    enum begun begun = begin(env, UNARY, &x);
    if (begun == READY)
        x87_put(env, UNARY, cosine(reduced(&x)));
    else if (begun == IS_ZERO)
        x87_put(env, UNARY, one);
}

EXPORT void helper_fsincos_x86_64(void *env)
{
    struct operand x;
    enum begun begun = begin(env, PUSHES, &x);
    if (begun == READY) {
        struct angle angle = reduced(&x);
        x87_put_two(env, sine(angle), cosine(angle));
    } else if (begun == IS_ZERO) {
        x87_put_two(env, zero(x.negative), one);
    }
}

EXPORT void helper_fptan_x86_64(void *env)
{
    struct operand x;
    enum begun begun = begin(env, PUSHES, &x);
    if (begun == READY) {
        x87_put_two(env, tangent(reduced(&x)), one);
    } else if (begun == IS_ZERO) {
        x87_put_two(env, zero(x.negative), one);
    }
}
