# SPDX-License-Identifier: BSD-2-Clause
"""A COM port behind the LPC bridge: a 16550A at eight fixed ISA ports.

On a PC the uart's INTR pin reaches the interrupt controller through a gate that OUT2 opens, which
lets ports that are not in use share an interrupt number (IBM PC/AT Technical Reference, serial
adapter).
"""

from __future__ import annotations

from manager.devices.uart.uart16550 import Uart16550


class IsaUart(Uart16550):
    """A uart as byte-wide ports, for `PortBus.claim(base, REGISTERS, ...)`.

    `line` is a share of the port's ISA interrupt (COM1 and COM3 have one in common).
    """

    def read_port(self, offset: int) -> int:
        """IN from the port at `offset`."""
        return self.read(offset)

    def write_port(self, offset: int, value: int) -> None:
        """OUT to the port at `offset`."""
        self.write(offset, value)

    def _interrupt_output(self) -> bool:
        return self.out2 and super()._interrupt_output()
