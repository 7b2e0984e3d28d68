# SPDX-License-Identifier: BSD-2-Clause
"""How fast a uart's line runs: at the pace that its divisor says, or at the host's."""

from __future__ import annotations

from manager.bus.clock import SECOND
from manager.devices.uart.registers import LCR_PARITY, LCR_STOP_BITS, LCR_WORD_LENGTH
from manager.lazy import dataclass

PC_INPUT_HZ = 1_843_200
"""The crystal of a PC's serial port: divisor 1 is 115200 baud."""
SAMPLES_PER_BIT = 16
TIMEOUT_CHARACTERS = 4
"""How many character times received characters may wait in the FIFO."""
LONGEST_CHARACTER = SECOND // 4
"""A little more than one at 50 baud; slower divisors do not occur outside of mistakes."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The speed of one uart's line."""

    input_hz: int = PC_INPUT_HZ
    """What the divisor latch divides by 16 times its value."""
    baud: bool = False
    """Every character takes the time that it would on a wire. Else a byte written to THR is sent
    at once, and only the receiver's character time-out depends on the divisor."""
    host_character: int = 0
    """Without `baud`: characters come in FIFO-fuls, and this many ns pass for each of them."""

    def characters(self, count: int, lcr: int, divisor: int) -> int:
        """How long `count` characters are on the line, in ns; at most LONGEST_CHARACTER each.

        Divisor 0, which means nothing, counts as 1.
        """
        word = 5 + (lcr & LCR_WORD_LENGTH)
        half_bits = 2 + 2 * word + (2 if lcr & LCR_PARITY else 0)
        if lcr & LCR_STOP_BITS:
            half_bits += 3 if word == 5 else 4
        else:
            half_bits += 2
        samples = count * half_bits * SAMPLES_PER_BIT * (divisor or 1) // 2
        return min(samples * SECOND // self.input_hz, count * LONGEST_CHARACTER)


HOST = Pace(host_character=10_000)
"""As on a line of 1 Mbaud: faster, and a handler that empties the FIFO would come to no end."""
BAUD = Pace(baud=True)
