# SPDX-License-Identifier: BSD-2-Clause
"""x87 functions by mpmath: what a result is to be, bit for bit."""

from __future__ import annotations

from fractions import Fraction

import mpmath

from support.x87 import BIAS, C1, MASKED, OE, ONE, PE, UE, Number

NEAREST, DOWN, UP, CHOP = range(4)
"""Rounding, as the control word's bits 10 and 11 have it."""
PI_66 = Fraction(0x3243F6A8885A308D3, 1 << 64)
"""The pi that reduces operands: Intel SDM vol. 1, 8.3.8."""
PRECISION, LITTLE = 600, 500
"""Bits that mpmath computes, and where what it cannot show is made good."""


def rational(number: Number) -> Fraction:
    """The value of a finite number."""
    mantissa, top = number
    exponent = max(top & 0x7FFF, 1) - BIAS - 63
    value = Fraction(mantissa) * Fraction(2) ** exponent
    return -value if top & 0x8000 else value


def nearest(value: float) -> Number:
    """A number of the host as a register has it."""
    return rounded(mpmath.mpf(value), MASKED)[0]


def _in_direction(kept: int, rest: Fraction, control: int, below_zero: bool) -> bool:
    mode = control >> 10 & 3
    if mode == NEAREST:
        return rest > Fraction(1, 2) or (rest == Fraction(1, 2) and kept & 1 == 1)
    return rest != 0 and mode == (DOWN if below_zero else UP)


def exact(value: mpmath.mpf) -> Fraction:
    """All digits of it."""
    sign, mantissa, exponent, _ = value._mpf_
    size = Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
    return -size if sign else size


def rounded(value: mpmath.mpf | Fraction, control: int) -> tuple[Number, int]:
    """A number that is not 0 in a register, and the flags that this sets with all masked."""
    size = value if isinstance(value, Fraction) else exact(value)
    sign = 0x8000 if size < 0 else 0
    size = abs(size)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent -= size < Fraction(2) ** exponent
    flags = 0

    def cut(last: int) -> tuple[int, bool, bool]:
        scaled = size / Fraction(2) ** last
        kept = int(scaled)
        up = _in_direction(kept, scaled - kept, control, sign != 0)
        return kept + up, up, scaled != kept

    mantissa, up, inexact = cut(exponent - 63)
    if mantissa >> 64:
        mantissa, exponent = ONE, exponent + 1
    biased = exponent + BIAS
    if biased < 1:
        mantissa, up, inexact = cut(1 - BIAS - 63)
        flags |= UE if inexact else 0
        biased = mantissa >> 63
    flags |= (PE if inexact else 0) | (C1 if up else 0)
    if biased >= 0x7FFF:
        to_infinity = _in_direction(1, Fraction(3, 4), control, sign != 0)
        largest = ((1 << 64) - 1, sign | 0x7FFE)
        return ((ONE, sign | 0x7FFF), OE | PE | C1) if to_infinity else (largest, OE | PE)
    return (mantissa, sign | biased), flags


def _mpf(value: Fraction) -> mpmath.mpf:
    return mpmath.mpf(value.numerator) / value.denominator


def _turned(x: Fraction) -> tuple[int, mpmath.mpf]:
    """Quadrant and rest of an angle."""
    quadrant = round(x / (PI_66 / 2)) if abs(x) > PI_66 / 4 else 0
    return quadrant & 3, _mpf(x - quadrant * PI_66 / 2)


def _below(value: mpmath.mpf) -> mpmath.mpf:
    """A little less: of a tiny operand these functions are itself to all digits, and never it."""
    return value * (1 - mpmath.mpf(2) ** -LITTLE)


def _sine(quadrant: int, rest: mpmath.mpf) -> mpmath.mpf:
    value = _below(mpmath.cos(rest) if quadrant & 1 else mpmath.sin(rest))
    return -value if quadrant & 2 else value


def _tangent(quadrant: int, rest: mpmath.mpf) -> mpmath.mpf:
    value = mpmath.tan(rest) * (1 + mpmath.mpf(2) ** -LITTLE)
    return -1 / value if quadrant & 1 else value


def _logarithm(x: Fraction) -> mpmath.mpf:
    """To base 2; exact for powers of 2."""
    if 1 in (x.numerator, x.denominator) and (x.numerator * x.denominator).bit_count() == 1:
        return mpmath.mpf(x.numerator.bit_length() - x.denominator.bit_length())
    return mpmath.log(_mpf(x)) / mpmath.ln2


def value_of(function: str, x: Fraction, y: Fraction) -> mpmath.mpf:
    """The result of a function of finite operands, which is not 0: more digits than are needed."""
    with mpmath.workprec(PRECISION):
        match function:
            case "fsin":
                return _sine(*_turned(x))
            case "fcos":
                quadrant, rest = _turned(x)
                return _sine(quadrant + 1 & 3, rest)
            case "fptan":
                return _tangent(*_turned(x))
            case "f2xm1":
                return mpmath.expm1(_mpf(x) * mpmath.ln2)
            case "fyl2x":
                return _mpf(y) * _logarithm(x)
            case "fyl2xp1":
                return _mpf(y) * mpmath.log1p(_mpf(x)) / mpmath.ln2
            case "fpatan":
                return _below(mpmath.atan2(_mpf(y), _mpf(x)))
    raise AssertionError(function)
