# SPDX-License-Identifier: BSD-2-Clause
"""x87 instructions: a guest that executes one on many operands."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from support.guest import Guest

BIAS = 16383
ONE = 1 << 63
"""The mantissa of a power of 2."""
IE, DE, ZE, OE, UE, PE, SF, ES = (1 << bit for bit in range(8))
C0, C1, C2, C3 = 0x100, 0x200, 0x400, 0x4000
BUSY = 0x8000
EXCEPTIONS = 0x3F
MASKED = 0x37F
"""The control word after FNINIT: to the nearest number of 64 bits, no exception."""

Number: TypeAlias = tuple[int, int]
"""Mantissa; sign and biased exponent."""
NAN: Number = (3 << 62, 0xFFFF)
SIGNALING: Number = (ONE | 5, 0x7FFF)
INFINITY: Number = (ONE, 0x7FFF)
ZERO: Number = (0, 0)


@dataclass(frozen=True)
class Case:
    x: Number
    y: Number = (ONE, BIAS)
    control: int = MASKED


@dataclass(frozen=True)
class Outcome:
    st0: Number
    st1: Number
    status: int


def negative(number: Number) -> Number:
    return number[0], number[1] ^ 0x8000


OPERANDS = 0x100000
RESULTS = 0x200000
STRIDE = 64
MOST = (RESULTS - OPERANDS) // STRIDE
OPERAND = struct.Struct("<QH6xQH2xH34x")
RESULT = struct.Struct("<QH6xQH6xH30x")
PROGRAM = """
    mov esi, 0x100000
    mov edi, 0x200000
1:  fninit
    fldcw [rsi + 28]
    fld tbyte ptr [rsi + 16]
    fld tbyte ptr [rsi]
    {instruction}
    fnstsw [rdi + 32]
    fnclex
    fstp tbyte ptr [rdi]
    fstp tbyte ptr [rdi + 16]
    add esi, 64
    add edi, 64
    dec ecx
    jnz 1b
    out 0xf4, al
2:  jmp 2b
"""


def execute(instruction: str, cases: Sequence[Case]) -> list[Outcome]:
    """What it does with each: ST0, ST1, and the status word."""
    assert len(cases) <= MOST
    guest = Guest(f"mov ecx, {len(cases)}" + PROGRAM.format(instruction=instruction))
    operands = b"".join(OPERAND.pack(*case.x, *case.y, case.control) for case in cases)
    guest.memory.write(OPERANDS, operands)
    guest.run(limit=1_000_000_000)
    assert guest.done
    results = guest.memory.read(RESULTS, STRIDE * len(cases))
    return [Outcome((a, b), (c, d), e) for a, b, c, d, e in RESULT.iter_unpack(results)]
