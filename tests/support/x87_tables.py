# SPDX-License-Identifier: BSD-2-Clause
"""Makes the constants of the x87 functions: manager/cpu/unicorn/native/x87_tables.h.

    python tests/support/x87_tables.py     writes the file again

All are cut, not rounded, to a number of bits below the point.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import mpmath

HEADER = Path(__file__).parents[2] / "manager/cpu/unicorn/native/x87_tables.h"
OPENING = """\
/* SPDX-License-Identifier: BSD-2-Clause */
/* Constants for x87_*.c, written by tests/support/x87_tables.py. */
#ifndef VMMGR_X87_TABLES_H
#define VMMGR_X87_TABLES_H
"""
SINE_TERMS = 16
"""For x^2 <= (pi/4)^2 the next term is below 2^-128."""
COSINE_TERMS = 16
EXPONENTIAL_TERMS = 31
"""For t <= ln 2."""
ODD_RECIPROCALS = 25
"""For s^2 <= 0.02945."""
ARCTANGENT_TERMS = 13
"""Of these, for u^2 <= 2^-10."""


def fixed(value: mpmath.mpf, bits: int) -> str:
    """A constant of C: `value` in units of 2^-bits."""
    units = int(mpmath.floor(value * mpmath.mpf(2) ** bits))
    return f"U128(0x{units >> 64:016x}, 0x{units & (1 << 64) - 1:016x})"


def table(name: str, comment: str, values: Iterable[mpmath.mpf], bits: int) -> str:
    """An array of them."""
    rows = "\n".join(f"    {fixed(value, bits)}," for value in values)
    return f"\n/* {comment} in 2^-{bits} */\nstatic const u128 {name}[] = {{\n{rows}\n}};\n"


def text() -> str:
    """The whole file."""
    counts = {
        "SINE_TERMS": SINE_TERMS,
        "COSINE_TERMS": COSINE_TERMS,
        "EXPONENTIAL_TERMS": EXPONENTIAL_TERMS,
        "ODD_RECIPROCALS": ODD_RECIPROCALS,
        "ARCTANGENT_TERMS": ARCTANGENT_TERMS,
    }
    with mpmath.workprec(400):
        one, ln_2 = mpmath.mpf(1), mpmath.log(2)
        parts = [
            OPENING,
            "enum {\n" + "".join(f"    {name} = {n},\n" for name, n in counts.items()) + "};\n",
            "/* in 2^-126 */",
            f"#define PI {fixed(+mpmath.pi, 126)}",
            "/* mantissas of numbers in [1/2, 1), [1, 2) and [2, 4) */",
            f"#define LN_2 {fixed(ln_2, 128)}",
            f"#define SQRT_2 {fixed(mpmath.sqrt(2), 127)}",
            f"#define TWO_OVER_LN_2 {fixed(2 / ln_2, 126)}",
            table(
                "sine_terms",
                "1/3! 1/5! 1/7! ...",
                (one / mpmath.factorial(2 * n + 3) for n in range(SINE_TERMS)),
                128,
            ),
            table(
                "cosine_terms",
                "1/2! 1/4! 1/6! ...",
                (one / mpmath.factorial(2 * n + 2) for n in range(COSINE_TERMS)),
                128,
            ),
            table(
                "exponential_terms",
                "1/1! 1/2! 1/3! ...",
                (one / mpmath.factorial(n + 1) for n in range(EXPONENTIAL_TERMS)),
                127,
            ),
            table(
                "odd_reciprocals",
                "1/1 1/3 1/5 ...",
                (one / (2 * n + 1) for n in range(ODD_RECIPROCALS)),
                127,
            ),
            table(
                "arctangents",
                "arctan(n/32) for n = 0 to 32,",
                (mpmath.atan(one * n / 32) for n in range(33)),
                126,
            ),
            "\n#endif\n",
        ]
        return "\n".join(parts[:7]) + "\n" + "".join(parts[7:])


if __name__ == "__main__":
    HEADER.write_text(text())
