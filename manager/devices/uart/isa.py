# SPDX-License-Identifier: BSD-2-Clause
"""A COM port behind the LPC bridge: a 16550A at eight fixed ISA ports.

On a PC the uart's INTR pin reaches the interrupt controller through a gate that OUT2 opens, which
lets ports that are not in use share an interrupt number (IBM PC/AT Technical Reference, serial
adapter). QEMU has no such gate.
"""

from __future__ import annotations

from manager.bus.channel import Channel
from manager.bus.clock import Clock
from manager.bus.grants import NO_GRANTS, Grants
from manager.bus.lines import Line
from manager.devices.uart import registers as reg
from manager.devices.uart.pace import Pace
from manager.devices.uart.uart16550 import INSTANT, Uart16550

PATIENCE = 100_000_000
"""ns that input waits behind the gate before that is worth telling."""
RECEPTION = (reg.IIR_RECEIVED_DATA, reg.IIR_TIMEOUT)


class IsaUart(Uart16550):
    """A uart as byte-wide ports, for `PortBus.claim(base, REGISTERS, ...)`.

    `line` is a share of the port's ISA interrupt (COM1 and COM3 have one in common). `gated`: OUT2
    has to be set for interrupts to get out.
    """

    def __init__(
        self,
        line: Line,
        channel: Channel,
        clock: Clock,
        pace: Pace = INSTANT,
        grants: Grants = NO_GRANTS,
        *,
        gated: bool = True,
    ) -> None:
        self._gated = gated
        self._held_since: int | None = None
        super().__init__(line, channel, clock, pace, grants)

    def read_port(self, offset: int) -> int:
        """IN from the port at `offset`."""
        return self.read(offset)

    def write_port(self, offset: int, value: int) -> None:
        """OUT to the port at `offset`."""
        self.write(offset, value)

    def advice(self) -> str:
        """Input that the guest will not hear of, as it does not know the gate."""
        since = self._held_since
        if since is None or self._clock.now() - since < PATIENCE:
            return ""
        return (
            "input waits: the guest has enabled its interrupt but not OUT2, which a PC asks for; "
            '`out2 = "ignore"` does not'
        )

    def _interrupt_output(self) -> bool:
        state = self.state
        if state.mcr & reg.MCR_OUT2 or not self._gated:
            self._held_since = None
            return self._interrupt() != reg.IIR_NONE
        if not state.ier or self._interrupt() not in RECEPTION:
            self._held_since = None
        elif self._held_since is None:
            self._held_since = self._clock.now()
        return False
