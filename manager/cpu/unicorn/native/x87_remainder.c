/* SPDX-License-Identifier: BSD-2-Clause */
/* FPREM and FPREM1: exact remainders, and the last bits of the quotient (Intel SDM vol. 2). */
#include "x87.h"

/* How far one partial remainder gets where the exponents are 64 or more apart: the SDM leaves 32 to
 * 63 open, AMD's manual names this one. */
static int step(int distance)
{
    return 32 + distance % 32;
}

static void put_quotient(void *env, uint64_t quotient)
{
    FIELD(uint16_t, env, ENV_FPUS) &= ~(FPUS_C0 | FPUS_C3);
    FIELD(uint16_t, env, ENV_FPUS) |= (quotient & 4 ? FPUS_C0 : 0) | (quotient & 2 ? FPUS_C3 : 0) |
                                      (quotient & 1 ? FPUS_C1 : 0);
}

/* x - q y for finite numbers that are not 0. */
static void divide(void *env, const struct operand *x, const struct operand *y, bool nearest)
{
    enum { ALL_AT_ONCE = 64, INTEGER = 127 };
    int distance = x->exponent - y->exponent;
    if (distance < (nearest ? -1 : 0)) {
        put_quotient(env, 0);
        x87_put(env, BINARY, wide_operand(x));
        return;
    }
    bool partial = distance >= ALL_AT_ONCE;
    int shift = partial ? step(distance) : distance;
    u128 unit = y->mantissa, whole = x->mantissa;
    if (shift < 0)
        unit <<= 1; /* in halves of x's last place */
    else
        whole <<= shift;
    u128 quotient = whole / unit, rest = whole % unit;
    bool negative = x->negative;
    if (nearest && !partial && (rest > unit - rest || (rest == unit - rest && (quotient & 1)))) {
        rest = unit - rest;
        quotient++;
        negative = !negative;
    }
    if (partial)
        FIELD(uint16_t, env, ENV_FPUS) |= FPUS_C2;
    else
        put_quotient(env, (uint64_t)quotient);
    int place = shift < 0 ? x->exponent : x->exponent - shift; /* of the last bit's exponent + 63 */
    struct wide result = wide_of(negative, INTEGER + place - 63, rest);
    if (rest == 0)
        result.negative = x->negative;
    x87_put(env, BINARY, result);
}

static void partial_remainder(void *env, bool nearest)
{
    struct operand x, y;
    if (!x87_begin(env, BINARY, &x, &y))
        return;
    if (x.kind == INFINITE || y.kind == ZERO) {
        x87_invalid(env, BINARY);
        return;
    }
    if (!x87_denormal(env, &x, &y))
        return;
    if (x.kind == ZERO || y.kind == INFINITE)
        put_quotient(env, 0); /* the operand stays */
    else
        divide(env, &x, &y, nearest);
}

EXPORT void helper_fprem_x86_64(void *env)
{
    partial_remainder(env, false);
}

EXPORT void helper_fprem1_x86_64(void *env)
{
    partial_remainder(env, true);
}
