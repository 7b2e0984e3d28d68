# SPDX-License-Identifier: BSD-2-Clause
"""COM ports: eight ISA ports each, interrupts gated by OUT2 and shared in pairs."""

from __future__ import annotations

from manager.bus.channel import Loose
from manager.bus.clock import Clock, ManualTime
from manager.bus.lines import Line, Wire, WiredOr
from manager.bus.ports import PortBus
from manager.devices.uart import registers as reg
from manager.devices.uart.isa import IsaUart
from manager.machine.serial_port import SerialPort

COM1, COM3 = 0x3F8, 0x3E8


def com_port(line: Line) -> IsaUart:
    return IsaUart(line, Loose(), Clock(ManualTime()))


def test_the_interrupt_passes_only_while_out2_is_set() -> None:
    levels: list[bool] = []
    uart = com_port(Wire(levels.append))

    uart.write_port(reg.IER, reg.IER_ETBEI)
    closed = list(levels)
    uart.write_port(reg.MCR, reg.MCR_OUT2)
    uart.write_port(reg.MCR, 0)

    assert closed == []
    assert levels == [True, False]


def test_the_gate_does_not_hide_the_interrupt_from_iir() -> None:
    uart = com_port(Wire(lambda _: None))

    uart.write_port(reg.IER, reg.IER_ETBEI)

    assert uart.read_port(reg.IIR) == reg.IIR_THRE


def test_wide_accesses_reach_the_registers_byte_by_byte() -> None:
    bus = PortBus()
    uart = com_port(Wire(lambda _: None))
    bus.claim(COM1, reg.REGISTERS, uart)

    bus.write(COM1 + reg.LCR, 1, reg.LCR_DLAB)
    bus.write(COM1 + reg.DLL, 2, 0x1234)

    assert bus.read(COM1 + reg.DLL, 2) == 0x1234
    assert bus.read(COM1 + reg.LCR, 4) == 0xB0_60_00_80


def test_two_ports_on_one_interrupt_hold_it_until_both_are_served() -> None:
    levels: list[bool] = []
    irq4 = WiredOr(Wire(levels.append))
    com1, com3 = com_port(irq4.join()), com_port(irq4.join())
    for uart in (com1, com3):
        uart.write_port(reg.MCR, reg.MCR_OUT2)
        uart.write_port(reg.IER, reg.IER_ETBEI)

    com1.read_port(reg.IIR)
    one_left = list(levels)
    com3.read_port(reg.IIR)

    assert one_left == [True]
    assert levels == [True, False]


def test_a_restored_port_asserts_its_line_again() -> None:
    uart = com_port(Wire(lambda _: None))
    uart.write_port(reg.MCR, reg.MCR_OUT2)
    uart.write_port(reg.IER, reg.IER_ETBEI)
    levels: list[bool] = []
    fresh = com_port(Wire(levels.append))

    fresh.load(uart.save())

    assert levels == [True]


class Waiting:
    """A COM port whose guest has enabled the receive interrupt, and the host's side of it."""

    def __init__(self, *, gated: bool = True) -> None:
        self.levels: list[bool] = []
        self.time = ManualTime()
        self.clock = Clock(self.time)
        self.port = SerialPort("com1")
        self.uart = IsaUart(Wire(self.levels.append), self.port, self.clock, gated=gated)
        self.port.connect(self.uart.input_ready)
        self.uart.write_port(reg.IER, reg.IER_ERBFI)

    def type(self) -> None:
        self.port.feed(b"x")

    def wait(self, ns: int) -> None:
        self.time.advance(self.clock, ns)


def test_input_that_the_gate_holds_back_is_told_of_after_a_while() -> None:
    port = Waiting()
    port.type()
    port.wait(99_000_000)
    soon = port.uart.advice()
    port.wait(1_000_000)

    assert soon == ""
    assert "not OUT2" in port.uart.advice()
    assert port.levels == []


def test_there_is_nothing_to_tell_once_the_guest_reads_or_opens_the_gate() -> None:
    for act in (lambda uart: uart.read_port(reg.RBR),
                lambda uart: uart.write_port(reg.MCR, reg.MCR_OUT2)):  # fmt: skip
        port = Waiting()
        port.type()
        act(port.uart)
        port.wait(1_000_000_000)

        assert port.uart.advice() == ""


def test_a_guest_that_polls_is_not_advised() -> None:
    port = Waiting()
    port.uart.write_port(reg.IER, 0)
    port.type()
    port.wait(1_000_000_000)

    assert port.uart.advice() == ""


def test_without_the_gate_interrupts_get_out_as_on_qemu() -> None:
    port = Waiting(gated=False)
    port.type()
    port.wait(1_000_000_000)

    assert port.levels == [True]
    assert port.uart.advice() == ""
