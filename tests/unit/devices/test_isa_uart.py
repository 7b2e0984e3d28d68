# SPDX-License-Identifier: BSD-2-Clause
"""COM ports: eight ISA ports each, interrupts gated by OUT2 and shared in pairs."""

from __future__ import annotations

from manager.bus.channel import Loose
from manager.bus.clock import Clock, ManualTime
from manager.bus.lines import Line, Wire, WiredOr
from manager.bus.ports import PortBus
from manager.devices.uart import registers as reg
from manager.devices.uart.isa import IsaUart

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
