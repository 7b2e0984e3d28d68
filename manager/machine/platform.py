# SPDX-License-Identifier: BSD-2-Clause
"""What the CPU finds around it: I/O ports, and a local APIC behind INTA, CR8 and two MSRs."""

from __future__ import annotations

from collections.abc import Callable

from manager.bus.ports import PortBus
from manager.devices.lapic.device import Lapic
from manager.machine.trace import Trace

MSR_APIC_BASE = 0x1B
"""The engine asks for this register and for TSC_DEADLINE; it keeps all others itself."""


class PcPlatform:
    """manager.cpu.engine.Platform for one CPU of a PC, with `trace` looking on."""

    def __init__(self, io: PortBus, lapic: Lapic, trace: Trace) -> None:
        self.read_port, self.write_port = trace.ports(io)
        self._lapic = lapic
        self._acknowledge: Callable[[], int] = trace.interrupts(lapic.acknowledge)

    def acknowledge(self) -> int:
        """INTA: the vector of the interrupt that is waiting."""
        return self._acknowledge()

    def read_cr8(self) -> int:
        """The task priority."""
        return self._lapic.read_cr8()

    def write_cr8(self, value: int) -> None:
        """Set the task priority."""
        self._lapic.write_cr8(value)

    def read_msr(self, number: int) -> int:
        """RDMSR of a register that the local APIC keeps."""
        if number == MSR_APIC_BASE:
            return self._lapic.read_base()
        return self._lapic.read_tsc_deadline()

    def write_msr(self, number: int, value: int) -> None:
        """WRMSR to a register that the local APIC keeps."""
        if number == MSR_APIC_BASE:
            self._lapic.write_base(value)
        else:
            self._lapic.write_tsc_deadline(value)
