# SPDX-License-Identifier: BSD-2-Clause
"""A record of what a guest does to its ports, interrupts, PCI functions and APIC registers.

One line an event, with its virtual time: what an OS author needs when nothing prints. The guest
cannot tell whether it is traced.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TextIO

from manager import files
from manager.bus.clock import SECOND
from manager.bus.pci import PciBus
from manager.bus.ports import PortBus
from manager.errors import HostError
from manager.graph.nodes import Graph

DIGITS = {1: 2, 2: 4, 4: 8}
"""Hexadecimal digits of a value by its size in bytes."""


class Trace:
    """Writes a line for each event of the kinds asked for. Without a file it costs a call."""

    def __init__(
        self, graph: Graph, now: Callable[[], int], cpu: Callable[[], int] = lambda: 0
    ) -> None:
        """`cpu` tells the number of the CPU that executes."""
        self.kinds: Collection[str] = graph.debug.trace
        self._now = now
        self._cpu = cpu
        self._several_cpus = graph.cpu_count > 1
        self._sink: TextIO | None = None
        self.fault = ""
        """Why the file does not have every line, if so."""
        self._owners = {
            port: node.id
            for node in graph.devices
            for ports in node.ports
            for port in range(ports.base, ports.end)
        }

    def open(self, path: Path) -> None:
        """Write to `path` from now on. Raises HostError."""
        try:
            descriptor = files.open_output(path, os.O_TRUNC, files.PRIVATE)
            self._sink = os.fdopen(descriptor, "w", buffering=1 << 16)
        except OSError as error:
            raise HostError(f"cannot write the trace to {path}: {error.strerror}") from error

    def close(self) -> None:
        """Write out what is buffered."""
        if self._sink is not None:
            sink, self._sink = self._sink, None
            try:
                sink.close()
            except OSError as error:
                self.fault = str(error.strerror)

    def _note(self, text: str) -> None:
        if self._sink is not None:
            seconds, rest = divmod(self._now(), SECOND)
            try:
                self._sink.write(f"{seconds}.{rest:09} {text}\n")
            except OSError as error:  # the guest must not depend on the host's disk
                self.fault = str(error.strerror)
                self.close()

    def ports(self, io: PortBus) -> tuple[PortRead, PortWrite]:
        """The bus's read and write, watched if "ports" is asked for."""
        if "ports" not in self.kinds:
            return io.read, io.write

        def read(port: int, size: int) -> int:
            value = io.read(port, size)
            self._note(f"in  {port:04x} -> {value:0{DIGITS[size]}x}  {self._owner(port)}")
            return value

        def write(port: int, size: int, value: int) -> None:
            self._note(f"out {port:04x} <- {value:0{DIGITS[size]}x}  {self._owner(port)}")
            io.write(port, size, value)

        return read, write

    def interrupts(self, acknowledge: Callable[[], int]) -> Callable[[], int]:
        """`acknowledge`, watched if "irq" is asked for."""
        if "irq" not in self.kinds:
            return acknowledge

        def watched() -> int:
            vector = acknowledge()
            self._note(f"irq vector {vector:02x}")
            return vector

        return watched

    def pci(self, bus: PciBus) -> None:
        """Watch configuration accesses if "pci" is asked for."""
        if "pci" not in self.kinds:
            return
        read, write = bus.read, bus.write

        def watched_read(slot: int, number: int, offset: int, size: int) -> int:
            value = read(slot, number, offset, size)
            self._note(f"pci {slot}.{number} [{offset:02x}] -> {value:0{DIGITS[size]}x}")
            return value

        def watched_write(slot: int, number: int, offset: int, size: int, value: int) -> None:
            self._note(f"pci {slot}.{number} [{offset:02x}] <- {value:0{DIGITS[size]}x}")
            write(slot, number, offset, size, value)

        bus.read, bus.write = watched_read, watched_write  # type: ignore[method-assign]

    def msr(self, number: int, value: int, written: int, refused: int) -> None:
        """RDMSR or WRMSR; one that is refused is a #GP for the guest."""
        arrow = "<-" if written else "->"
        self._note(f"msr {number:08x} {arrow} {'#GP' if refused else f'{value:016x}'}")

    def _owner(self, port: int) -> str:
        return self._owners.get(port, "")


PortRead = Callable[[int, int], int]
PortWrite = Callable[[int, int, int], None]
