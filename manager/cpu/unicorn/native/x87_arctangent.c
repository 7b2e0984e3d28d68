/* SPDX-License-Identifier: BSD-2-Clause */
/* FPATAN: the angle of the point (ST0, ST1) (Intel SDM vol. 2). */
#include "x87.h"
#include "x87_tables.h"

enum { POINT = 126 }; /* angles in fixed point, below 4 */
enum { STEPS = 32 };  /* arctangents of multiples of 1/32 are known */

/* u (1 - u^2/3 + u^4/5 - ...), for 0 < |u| <= 1/32: less than u, by the last bit at least, unless
 * more than that was cut from u. */
static struct wide small_arctangent(struct wide u)
{
    u128 z = square(u);
    if (z == 0)
        return u.mantissa & 1 ? u : inexact(wide_of(u.negative, u.exponent, u.mantissa - 1));
    u128 ratio = alternating_series(odd_reciprocals, ARCTANGENT_TERMS, z) - 1;
    return inexact(product(u, wide_of(false, 0, ratio)));
}

/* arctan(a / b), for a <= b: that of the nearest n/32, and of (a/b - n/32) / (1 + a/b * n/32). */
static struct wide arctangent(const struct operand *a, const struct operand *b)
{
    enum { NEAR = 6, INTEGER = 127 };
    struct wide x = wide_operand(a), y = wide_operand(b);
    x.negative = y.negative = false;
    if (b->exponent - a->exponent >= NEAR)
        return small_arctangent(quotient(x, y));
    u128 small = a->mantissa, large = (u128)b->mantissa << (b->exponent - a->exponent);
    int n = (STEPS * small + large / 2) / large;
    bool below = STEPS * small < n * large;
    u128 over = below ? n * large - STEPS * small : STEPS * small - n * large;
    u128 angle = arctangents[n];
    if (over != 0) {
        struct wide rest = small_arctangent(
            quotient(wide_of(below, INTEGER, over), wide_of(false, INTEGER, STEPS * large + n * small)));
        if (n == 0)
            return rest;
        u128 part = fixed(rest, POINT);
        angle = below ? angle - part : angle + part;
    }
    return inexact(wide_of(false, 127 - POINT, angle));
}

static struct wide with_sign(bool negative, struct wide angle)
{
    angle.negative = negative;
    return angle;
}

static struct wide multiple_of_quarter_pi(int count)
{
    return inexact(wide_of(false, 127 - POINT, count * (PI >> 2)));
}

static bool exceeds(const struct operand *a, const struct operand *b)
{
    return a->exponent > b->exponent || (a->exponent == b->exponent && a->mantissa > b->mantissa);
}

static struct wide finite_angle(const struct operand *x, const struct operand *y)
{
    bool steep = exceeds(y, x);
    struct wide angle = steep ? arctangent(x, y) : arctangent(y, x);
    u128 part = fixed(angle, POINT);
    if (steep)
        return inexact(wide_of(false, 127 - POINT, x->negative ? PI / 2 + part : PI / 2 - part));
    return x->negative ? inexact(wide_of(false, 127 - POINT, PI - part)) : angle;
}

EXPORT void helper_fpatan_x86_64(void *env)
{
    struct operand x, y;
    if (!x87_begin(env, POPS, &x, &y) || !x87_denormal(env, &x, &y))
        return;
    bool flat = y.kind == ZERO || (x.kind == INFINITE && y.kind != INFINITE);
    struct wide angle;
    if (flat && !x.negative) {
        x87_put_zero(env, POPS, y.negative);
        return;
    }
    if (flat)
        angle = multiple_of_quarter_pi(4);
    else if (x.kind == INFINITE)
        angle = multiple_of_quarter_pi(x.negative ? 3 : 1);
    else if (y.kind == INFINITE || x.kind == ZERO)
        angle = multiple_of_quarter_pi(2);
    else
        angle = finite_angle(&x, &y);
    x87_put(env, POPS, with_sign(y.negative, angle));
}
