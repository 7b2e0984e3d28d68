# SPDX-License-Identifier: BSD-2-Clause
"""Prints a digest of the results of each x87 function on 3,000 random operands.

For a process with another environment: what it prints is to be the same in all.
"""

from __future__ import annotations

import hashlib
import random

from support.x87 import BIAS, ONE, Case, execute

FUNCTIONS = (
    "fsin", "fcos", "fsincos", "fptan", "fpatan", "f2xm1", "fyl2x", "fyl2xp1", "fprem", "fprem1"
)  # fmt: skip
COUNT = 3000


def operands(seed: int) -> list[Case]:
    """Numbers of both signs from 2^-20 to 1, which every function takes."""
    draw = random.Random(seed)

    def number() -> tuple[int, int]:
        return ONE | draw.getrandbits(63), BIAS - draw.randint(1, 20) | draw.getrandbits(1) << 15

    return [Case(number(), number()) for _ in range(COUNT)]


def main() -> None:
    """One line for each function."""
    for function in FUNCTIONS:
        results = repr(execute(function, operands(1))).encode()
        print(function, hashlib.sha256(results).hexdigest()[:16])


if __name__ == "__main__":
    main()
