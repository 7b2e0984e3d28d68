# SPDX-License-Identifier: BSD-2-Clause
"""x87 functions where there is no number to compute, as the SDM (vol. 2) has them in tables.

NaNs: vol. 1, 4.8.3.5 and table 4-7. Stack faults: 8.5.1.1. Masked and unmasked: 8.4 and 8.5.
"""

from __future__ import annotations

import pytest
from support.guest import Guest
from support.x87 import (
    BIAS,
    BUSY,
    C1,
    C2,
    DE,
    ES,
    EXCEPTIONS,
    IE,
    INFINITY,
    MASKED,
    NAN,
    OE,
    ONE,
    PE,
    SF,
    SIGNALING,
    UE,
    ZE,
    ZERO,
    Case,
    Number,
    execute,
    negative,
)

pytestmark = pytest.mark.guest

ANGLES = ("fsin", "fcos", "fptan", "fsincos")
UNARY = (*ANGLES, "f2xm1")
BINARY = ("fpatan", "fyl2x", "fyl2xp1", "fprem", "fprem1")
F1: Number = (ONE, BIAS)
F2: Number = (ONE, BIAS + 1)
HALF: Number = (ONE, BIAS - 1)
TINY: Number = (1, 0)
WRAPPED = 24576
"""What exponents are moved by where overflow and underflow are not masked."""
QUIET: Number = (ONE | 1 << 62 | 9, 0x7FFF)
QUIETED: Number = (SIGNALING[0] | 1 << 62, 0x7FFF)
UNNORMAL: Number = (1 << 62, BIAS)
PSEUDO_INFINITY: Number = (0, 0x7FFF)
PSEUDO_NAN: Number = (1 << 61, 0x7FFF)
PI: Number = (0xC90FDAA22168C235, BIAS + 1)
HALF_PI: Number = (PI[0], BIAS)
QUARTER_PI: Number = (PI[0], BIAS - 1)
THREE_QUARTERS_PI: Number = (0x96CBE3F9990E91A8, BIAS + 1)
M_ZERO, M_INFINITY, M1, M2 = map(negative, (ZERO, INFINITY, F1, F2))
SOME = IE | DE | ZE | OE | UE | PE | SF | C1 | C2
# fmt: off
EXACT = {
    "fsin": [(ZERO, None, ZERO, 0), (M_ZERO, None, M_ZERO, 0), (INFINITY, None, NAN, IE)],
    "fcos": [(ZERO, None, F1, 0), (M_ZERO, None, F1, 0), (M_INFINITY, None, NAN, IE)],
    "f2xm1": [
        (ZERO, None, ZERO, 0), (M_ZERO, None, M_ZERO, 0), (F1, None, F1, 0),
        (M1, None, negative(HALF), 0), (F2, None, F2, 0), (M_INFINITY, None, M_INFINITY, 0),
    ],
    "fyl2x": [ # ST0, ST1
        (ZERO, ZERO, NAN, IE), (M_ZERO, M_ZERO, NAN, IE), (ZERO, F1, M_INFINITY, ZE),
        (ZERO, M1, INFINITY, ZE), (M_ZERO, M1, INFINITY, ZE), (ZERO, INFINITY, M_INFINITY, 0),
        (ZERO, M_INFINITY, INFINITY, 0), (M1, F1, NAN, IE), (M_INFINITY, F1, NAN, IE),
        (F1, F2, ZERO, 0), (F1, M2, M_ZERO, 0), (F1, M_ZERO, M_ZERO, 0), (F1, INFINITY, NAN, IE),
        (F1, M_INFINITY, NAN, IE), (HALF, INFINITY, M_INFINITY, 0), (F2, INFINITY, INFINITY, 0),
        (F2, M_INFINITY, M_INFINITY, 0), (HALF, ZERO, M_ZERO, 0), (HALF, M_ZERO, ZERO, 0),
        (F2, M_ZERO, M_ZERO, 0), (INFINITY, ZERO, NAN, IE), (INFINITY, F1, INFINITY, 0),
        (INFINITY, M1, M_INFINITY, 0), (INFINITY, M_INFINITY, M_INFINITY, 0), (F2, F2, F2, 0),
        (TINY, ZERO, M_ZERO, DE), (TINY, INFINITY, M_INFINITY, DE), (F1, TINY, ZERO, DE),
        ((ONE, 0x7FFE), (ONE, 0x7FFE), INFINITY, OE | PE | C1),
    ],
    "fyl2xp1": [
        (ZERO, F1, ZERO, 0), (ZERO, M1, M_ZERO, 0), (M_ZERO, F1, M_ZERO, 0), (M_ZERO, M1, ZERO, 0),
        (ZERO, INFINITY, NAN, IE), (M_ZERO, M_INFINITY, NAN, IE), (HALF, INFINITY, INFINITY, 0),
        ((ONE, BIAS - 3), M_INFINITY, M_INFINITY, 0), (negative(HALF), INFINITY, M_INFINITY, 0),
        (negative(HALF), ZERO, M_ZERO, 0), (INFINITY, F1, INFINITY, 0), (INFINITY, ZERO, NAN, IE),
        (F1, F2, F2, 0), (M1, F1, NAN, IE), (M2, F1, NAN, IE), (negative(HALF), F2, M2, 0),
    ],
    "fpatan": [
        (ZERO, ZERO, ZERO, 0), (ZERO, M_ZERO, M_ZERO, 0), (M_ZERO, ZERO, PI, PE | C1),
        (M_ZERO, M_ZERO, negative(PI), PE | C1), (F1, ZERO, ZERO, 0), (M1, ZERO, PI, PE | C1),
        (F1, M_ZERO, M_ZERO, 0), (ZERO, F1, HALF_PI, PE | C1),
        (M_ZERO, M1, negative(HALF_PI), PE | C1),
        (INFINITY, F1, ZERO, 0), (INFINITY, M1, M_ZERO, 0), (M_INFINITY, F1, PI, PE | C1),
        (M_INFINITY, M_ZERO, negative(PI), PE | C1), (F1, INFINITY, HALF_PI, PE | C1),
        (M1, M_INFINITY, negative(HALF_PI), PE | C1), (INFINITY, INFINITY, QUARTER_PI, PE | C1),
        (M_INFINITY, INFINITY, THREE_QUARTERS_PI, PE | C1), (F1, F1, QUARTER_PI, PE | C1),
        (F1, M1, negative(QUARTER_PI), PE | C1),
        (M_INFINITY, M_INFINITY, negative(THREE_QUARTERS_PI), PE | C1),
    ],
    "fprem": [
        (ZERO, F1, ZERO, 0), (M_ZERO, F1, M_ZERO, 0), (INFINITY, F1, NAN, IE), (F1, ZERO, NAN, IE),
        (ZERO, ZERO, NAN, IE), (F1, INFINITY, F1, 0), (M2, F1, M_ZERO, 0), (TINY, F1, TINY, DE),
    ],
}
# fmt: on
EXACT["fprem1"] = EXACT["fprem"]
CASES = [(name, *case) for name, cases in EXACT.items() for case in cases]


@pytest.mark.parametrize("function", EXACT)
def test_table_of_the_manual(function: str) -> None:
    rows = [row for row in CASES if row[0] == function]

    outcomes = execute(function, [Case(x, y or F1) for _, x, y, _, _ in rows])

    for (_, x, y, result, flags), outcome in zip(rows, outcomes, strict=True):
        assert outcome.st0 == result, (x, y)
        assert outcome.status & (EXCEPTIONS | C2) == flags & ~C1, (x, y)
        assert function.startswith("fprem") or outcome.status & C1 == flags & C1, (x, y)


@pytest.mark.parametrize("function", ["fsincos", "fptan"])
def test_zero_has_two_exact_results(function: str) -> None:
    for zero in (ZERO, M_ZERO):
        outcome = execute(function, [Case(zero)])[0]
        assert (outcome.st0, outcome.st1, outcome.status & SOME) == (F1, zero, 0)


@pytest.mark.parametrize("function", ANGLES)
@pytest.mark.parametrize("large", [(ONE, BIAS + 63), ((1 << 64) - 1, 0x7FFE)])
def test_angle_out_of_range_stays_and_sets_c2(function: str, large: Number) -> None:
    for x in (large, negative(large)):
        outcome = execute(function, [Case(x, F2)])[0]
        assert (outcome.st0, outcome.st1, outcome.status & SOME) == (x, F2, C2)


@pytest.mark.parametrize("function", [*UNARY, *BINARY])
def test_nan_becomes_quiet_and_what_is_no_number_the_default_nan(function: str) -> None:
    operands = [QUIET, SIGNALING, UNNORMAL, PSEUDO_INFINITY, PSEUDO_NAN]
    results = [QUIET, QUIETED, NAN, NAN, NAN]

    outcomes = execute(function, [Case(x) for x in operands])

    assert [outcome.st0 for outcome in outcomes] == results
    assert [outcome.status & SOME for outcome in outcomes] == [0, IE, IE, IE, IE]


@pytest.mark.parametrize("function", BINARY)
def test_of_two_nans_one_is_the_result(function: str) -> None:
    larger: Number = (QUIET[0] + 1, 0xFFFF)
    louder: Number = (SIGNALING[0] + 1, 0x7FFF)
    pairs = [
        (QUIET, larger, larger, 0),
        (larger, QUIET, larger, 0),
        (QUIET, negative(QUIET), QUIET, 0),
        (negative(QUIET), QUIET, QUIET, 0),
        (SIGNALING, QUIET, QUIET, IE),
        (QUIET, SIGNALING, QUIET, IE),
        (SIGNALING, louder, (louder[0] | 1 << 62, 0x7FFF), IE),
        (F1, SIGNALING, QUIETED, IE),
        (F1, QUIET, QUIET, 0),
        (UNNORMAL, QUIET, NAN, IE),
        (F1, UNNORMAL, NAN, IE),
    ]

    outcomes = execute(function, [Case(x, y) for x, y, _, _ in pairs])

    assert [(o.st0, o.status & SOME) for o in outcomes] == [(r, flags) for _, _, r, flags in pairs]


@pytest.mark.parametrize(
    ("function", "x", "y", "flag"),
    [
        ("fsin", INFINITY, F1, IE),
        ("fsin", SIGNALING, F1, IE),
        ("fcos", TINY, F1, DE),
        ("f2xm1", TINY, F1, DE),
        ("fyl2x", ZERO, F1, ZE),
        ("fyl2x", M1, F1, IE),
        ("fyl2xp1", TINY, F1, DE),
        ("fpatan", TINY, F1, DE),
        ("fprem", F1, ZERO, IE),
        ("fprem1", F1, TINY, DE),
    ],
)
def test_unmasked_exception_of_an_operand_leaves_the_stack(
    function: str, x: Number, y: Number, flag: int
) -> None:
    outcome = execute(function, [Case(x, y, MASKED & ~flag)])[0]

    assert (outcome.st0, outcome.st1) == (x, y)
    assert outcome.status & (SOME | ES | BUSY) == flag | ES | BUSY


@pytest.mark.parametrize(
    ("function", "x", "y", "masked", "result", "flags"),
    [
        ("fyl2x", (ONE, 0x7FFE), (ONE, 0x7FFE), OE, (0x3FFF << 50, 0x7FFE + 13 - WRAPPED), OE),
        ("fyl2x", (ONE, BIAS + 1), (ONE, 1), UE, (ONE, 1), 0),
        ("fpatan", (ONE, BIAS + 2), (ONE, 1), UE, (ONE, WRAPPED - 1), UE | PE | C1),
        ("fsin", (ONE, 1), F1, UE, (ONE, 1), PE | C1),
        ("fpatan", (ONE, 0x7FFE), (ONE, 1), UE, (ONE, WRAPPED - 16382), UE | PE | C1),
        ("fsin", F1, F1, PE, (0xD76AA47848677021, BIAS - 1), PE | C1),
    ],
)
def test_unmasked_exception_of_a_result_delivers_it_with_its_exponent_moved(
    function: str, x: Number, y: Number, masked: int, result: Number, flags: int
) -> None:
    outcome = execute(function, [Case(x, y, MASKED & ~masked)])[0]

    assert (outcome.st0, outcome.status & SOME) == (result, flags)
    assert bool(outcome.status & ES) == bool(flags & masked)


FAULT = """
    fninit
    {prepare}
    {function}
    fnstsw ax
    out 0xf4, al
1:  jmp 1b
"""
FILL = "fld1\n" * 8


@pytest.mark.parametrize(
    ("function", "prepare", "flags"),
    [
        *((function, "", IE | SF) for function in (*UNARY, *BINARY)),
        *((function, "fld1", IE | SF) for function in BINARY),
        *((function, FILL, IE | SF | C1) for function in ("fptan", "fsincos")),
    ],
)
def test_stack_fault_gives_the_default_nan(function: str, prepare: str, flags: int) -> None:
    guest = Guest(FAULT.format(function=function, prepare=prepare))

    guest.run()

    state = guest.cpu.read_state()
    at = 10 * state.fpu.top
    assert state.gpr[0] & (SOME | ES) == flags
    assert state.fpu.registers[at : at + 8] == NAN[0].to_bytes(8, "little")
    assert state.fpu.registers[at + 8 : at + 10] == NAN[1].to_bytes(2, "little")


def test_unmasked_exception_is_raised_by_the_wait_that_follows() -> None:
    guest = Guest("""
        mov rax, cr0
        or eax, 0x20
        mov cr0, rax
        fninit
        mov word ptr [0x9000], 0x37e
        fldcw [0x9000]
        fld1
        fchs
        fld1
        fxch
        fyl2x
        out 0xe9, al
        fwait
        out 0xe9, al
    1:  jmp 1b
    """)
    guest.run(limit=100_000)

    assert len(guest.said) == 1


def test_store_to_an_empty_register_fills_it() -> None:
    guest = Guest("""
        fninit
        fld1
        fst st(2)
        fstp st(0)
        fincstp
        fsin
        fnstsw ax
        out 0xf4, al
    1:  jmp 1b
    """)

    guest.run()

    assert guest.cpu.read_state().gpr[0] & (SF | IE) == 0
