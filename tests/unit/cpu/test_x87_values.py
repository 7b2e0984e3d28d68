# SPDX-License-Identifier: BSD-2-Clause
"""x87 functions against mpmath and exact fractions: every result is the nearest number there is.

The SDM (vol. 1, 8.3.10) allows one unit in the last place. Results here are computed to about 110
bits, so the tests ask for the right bits, in every rounding mode, with PE, UE, OE and C1.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from math import floor

import pytest
from support import x87_tables
from support.x87 import (
    BIAS,
    C0,
    C1,
    C2,
    C3,
    EXCEPTIONS,
    MASKED,
    ONE,
    Case,
    Number,
    execute,
    negative,
)
from support.x87_model import PI_66, rational, rounded, value_of

pytestmark = pytest.mark.guest

RANDOM = 250
ROUNDINGS = [MASKED | mode << 10 for mode in range(4)]
LEAST: Number = (1, 0)
LARGEST_DENORMAL: Number = (ONE - 1, 0)
PSEUDO_DENORMAL: Number = (ONE | 7, 0)
LEAST_NORMAL: Number = (ONE, 1)
LARGEST: Number = ((1 << 64) - 1, 0x7FFE)
Draw = random.Random


def between(draw: Draw, low: int, high: int) -> Number:
    """A number with an exponent in that range, of any sign."""
    return ONE | draw.getrandbits(63), BIAS + draw.randint(low, high) | draw.getrandbits(1) << 15


def positive(number: Number) -> Number:
    return number[0], number[1] & 0x7FFF


def near(value: Fraction, away: int = 0) -> Number:
    """The nearest number, and `away` places from it."""
    mantissa, top = rounded(value, MASKED)[0]
    return mantissa + away, top


def angle(draw: Draw) -> tuple[Number, Number]:
    if draw.random() < 0.3:
        quarters = draw.getrandbits(draw.randint(1, 62)) or 1
        return near(PI_66 / 4 * quarters), (ONE, BIAS)
    return between(draw, -70, 62), (ONE, BIAS)


def exponent(draw: Draw) -> tuple[Number, Number]:
    return between(draw, *draw.choice([(-3, -1), (-70, -1)])), (ONE, BIAS)


def logarithm(draw: Draw) -> tuple[Number, Number]:
    x = between(draw, *draw.choice([(-1, 0), (-16382, 16383)]))
    return positive(x), between(draw, *draw.choice([(-5, 5), (-16382, 16383)]))


def logarithm_of_one_plus(draw: Draw) -> tuple[Number, Number]:
    return between(draw, -70, -2), between(draw, -5, 5)


def point(draw: Draw) -> tuple[Number, Number]:
    high = draw.choice([7, 16383])
    return between(draw, -high, high), between(draw, -high, high)


TINY = [LEAST, LARGEST_DENORMAL, PSEUDO_DENORMAL, LEAST_NORMAL, (ONE | 1, 5), (ONE, BIAS - 63)]
HARD_ANGLES = [
    *TINY,
    *(near(PI_66 / 2 * n, away) for n in (1, 2, 3, 5, 355, 1 << 40) for away in (-1, 0, 1)),
    *(near(PI_66 / 4 * n, away) for n in (1, 3, 5) for away in (-1, 0, 1)),
    (ONE, BIAS - 2),
    (ONE, BIAS - 1),
    (ONE, BIAS - 33),
    (ONE, BIAS - 32),
    ((1 << 64) - 1, BIAS + 62),
    (0x80A1B2C3D4E5F607, BIAS + 62),
]
HARD_EXPONENTS = [*TINY, (ONE, BIAS - 1), ((1 << 64) - 1, BIAS - 1), (ONE, BIAS - 2)]
NEAR_ONE = [(ONE | 1, BIAS), ((1 << 64) - 1, BIAS - 1), (ONE | 1 << 32, BIAS), (ONE | 3, BIAS)]
ROOT_OF_2 = 0xB504F333F9DE6484
HARD_LOGARITHMS = [
    *TINY,
    *NEAR_ONE,
    LARGEST,
    (ONE, BIAS + 1),
    (ONE, BIAS - 1),
    (ONE, 0x7FFE),
    *((ROOT_OF_2 + n, BIAS) for n in (-1, 0, 1)),
]
HARD_ADDENDS = [
    *TINY,
    (ONE, BIAS - 3),
    ((1 << 64) - 1, BIAS - 3),
    (ONE, BIAS - 2),
    (ONE | 1, BIAS - 2),
]
FACTORS: list[Number] = [(ONE, BIAS), (ONE | 5, BIAS + 1), negative((3 << 62, BIAS - 9))]
SIDES = [
    LEAST,
    LEAST_NORMAL,
    LARGEST,
    *((n << 59, BIAS - 1) for n in (16, 17, 21, 31)),
    (ONE, BIAS),
]
SIDES += [((1 << 64) - 1, BIAS - 6), (ONE, BIAS - 6), (ONE, BIAS + 200)]


def both_signs(numbers: list[Number]) -> list[Number]:
    return numbers + [negative(number) for number in numbers]


def pairs(first: list[Number], second: list[Number]) -> list[tuple[Number, Number]]:
    return [(x, y) for x in first for y in second]


FUNCTIONS: dict[
    str, tuple[Callable[[Draw], tuple[Number, Number]], list[tuple[Number, Number]]]
] = {
    "fsin": (angle, pairs(both_signs(HARD_ANGLES), FACTORS[:1])),
    "fcos": (angle, pairs(both_signs(HARD_ANGLES), FACTORS[:1])),
    "fptan": (angle, pairs(both_signs(HARD_ANGLES), FACTORS[:1])),
    "f2xm1": (exponent, pairs(both_signs(HARD_EXPONENTS), FACTORS[:1])),
    "fyl2x": (logarithm, pairs(HARD_LOGARITHMS, [*FACTORS, LEAST, LARGEST])),
    "fyl2xp1": (logarithm_of_one_plus, pairs(both_signs(HARD_ADDENDS), [*FACTORS, LEAST])),
    "fpatan": (point, pairs(both_signs(SIDES), both_signs(SIDES))),
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_result_is_the_nearest_number_and_its_flags_say_how(function: str) -> None:
    drawn, hard = FUNCTIONS[function]
    draw = random.Random(function)
    cases = [Case(*drawn(draw), draw.choice(ROUNDINGS)) for _ in range(RANDOM)]
    cases += [Case(x, y, ROUNDINGS[n % 4]) for n, (x, y) in enumerate(hard)]
    cases += [Case(x, y, ROUNDINGS[(n + 1) % 4]) for n, (x, y) in enumerate(hard)]

    outcomes = execute(function, cases)

    for case, outcome in zip(cases, outcomes, strict=True):
        number, flags = rounded(
            value_of(function, rational(case.x), rational(case.y)), case.control
        )
        result = outcome.st1 if function == "fptan" else outcome.st0
        denormal = any(operand[1] & 0x7FFF == 0 for operand in operands_of(function, case))
        assert result == number, case
        assert outcome.status & (EXCEPTIONS | C1 | C2) == flags | denormal << 1, case


def operands_of(function: str, case: Case) -> tuple[Number, ...]:
    return (case.x, case.y) if function in ("fyl2x", "fyl2xp1", "fpatan") else (case.x,)


def test_sine_and_cosine_are_those_of_fsin_and_fcos() -> None:
    draw = random.Random(3)
    cases = [Case(*angle(draw), draw.choice(ROUNDINGS)) for _ in range(RANDOM)]

    both = execute("fsincos", cases)

    assert [outcome.st1 for outcome in both] == [o.st0 for o in execute("fsin", cases)]
    assert [outcome.st0 for outcome in both] == [o.st0 for o in execute("fcos", cases)]


def test_tangent_has_a_one_above_it() -> None:
    assert execute("fptan", [Case((ONE, BIAS))])[0].st0 == (ONE, BIAS)


def quotient(x: Fraction, y: Fraction, nearest: bool) -> int:
    """Of FPREM1, or of FPREM: cut towards 0."""
    return round(x / y) if nearest else int(x / y)


@pytest.mark.parametrize("function", ["fprem", "fprem1"])
def test_remainder_is_exact_and_tells_the_end_of_the_quotient(function: str) -> None:
    draw = random.Random(function)
    cases = []
    for _ in range(400):
        y = between(draw, -16382, 16383 - 64)
        distance = draw.choice([-2, -1, 0, 1, 2, 3, 30, 62, 63])
        exponent = min(max((y[1] & 0x7FFF) + distance, 1), 0x7FFE)
        mantissa = draw.choice([ONE | draw.getrandbits(63), ONE, y[0]])
        cases.append(Case((mantissa, exponent | draw.getrandbits(1) << 15), y))
    cases += [
        Case((5, 0), (2, 0)),
        Case((3, 0), (2, 0)),
        Case((ONE, 1), LEAST),
        Case(LEAST, LARGEST),
    ]

    for case, outcome in zip(cases, execute(function, cases), strict=True):
        x, y = rational(case.x), rational(case.y)
        whole = quotient(x, y, function == "fprem1")
        bits = abs(whole)
        flags = (C0 if bits & 4 else 0) | (C3 if bits & 2 else 0) | (C1 if bits & 1 else 0)
        assert rational(outcome.st0) == x - whole * y, case
        assert outcome.st0[1] >> 15 == (case.x[1] >> 15 if x == whole * y else x < whole * y), case
        assert outcome.status & (C0 | C1 | C2 | C3) == flags, case


@pytest.mark.parametrize("function", ["fprem", "fprem1"])
@pytest.mark.parametrize("distance", [64, 65, 95, 96, 1000])
def test_far_remainder_comes_in_steps_of_32_to_63_bits(function: str, distance: int) -> None:
    x: Number = (ONE | 0x123456789ABCDEF, BIAS + min(distance, 16000))
    y: Number = (3 << 62 | 5, x[1] - distance)
    steps = 0
    while True:
        outcome = execute(function, [Case(x, y)])[0]
        steps += 1
        left = rational(x) / rational(y) - rational(outcome.st0) / rational(y)
        assert left == floor(left)
        if not outcome.status & C2:
            break
        gone = (x[1] & 0x7FFF) - (outcome.st0[1] & 0x7FFF)
        assert gone >= 32
        x = outcome.st0

    assert distance / 63 <= steps <= distance / 32 + 2


def test_constants_are_what_their_generator_writes() -> None:
    assert x87_tables.HEADER.read_text() == x87_tables.text()
