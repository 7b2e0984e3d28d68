# SPDX-License-Identifier: BSD-2-Clause
"""Registers of the NS16550A, by their datasheet names."""

from __future__ import annotations

# Register offsets. With LCR_DLAB set, 0 and 1 are the divisor latch.
RBR = THR = DLL = 0
IER = DLM = 1
IIR = FCR = 2
LCR = 3
MCR = 4
LSR = 5
MSR = 6
SCR = 7
REGISTERS = 8
"""How many I/O ports a uart takes."""

IER_ERBFI = 0x01  # received data available, and time-out
IER_ETBEI = 0x02  # THR empty
IER_ELSI = 0x04  # receiver line status
IER_EDSSI = 0x08  # modem status
IER_BITS = 0x0F

IIR_NONE = 0x01  # the only value with bit 0 set
IIR_MODEM_STATUS = 0x00
IIR_THRE = 0x02
IIR_RECEIVED_DATA = 0x04
IIR_LINE_STATUS = 0x06
IIR_TIMEOUT = 0x0C
IIR_FIFOS = 0xC0  # how a driver tells a 16550A from a 16450

FCR_ENABLE = 0x01
FCR_RESET_RECEIVER = 0x02  # clears itself, as does bit 2, which has nothing to reset here
FCR_DMA_MODE = 0x08  # stored; there is no DMA
FCR_TRIGGER = 0xC0
FCR_STORED = FCR_ENABLE | FCR_DMA_MODE | FCR_TRIGGER
FIFO_DEPTH = 16
TRIGGER_LEVELS = (1, 4, 8, 14)

LCR_WORD_LENGTH = 0x03  # 5 to 8 bits
LCR_STOP_BITS = 0x04  # 1; or 2, or 1.5 for 5-bit words
LCR_PARITY = 0x08
LCR_BREAK = 0x40
LCR_DLAB = 0x80

MCR_DTR = 0x01
MCR_RTS = 0x02
MCR_OUT1 = 0x04
MCR_OUT2 = 0x08  # on a PC's ISA ports: lets the interrupt through
MCR_LOOP = 0x10
MCR_BITS = 0x1F

LSR_DR = 0x01
LSR_OE = 0x02
LSR_BI = 0x10
LSR_THRE = 0x20
LSR_TEMT = 0x40
LSR_FIFO_ERROR = 0x80

MSR_DELTAS = 0x0F  # DCTS, DDSR, TERI, DDCD: each four bits below its input
MSR_CTS = 0x10
MSR_DSR = 0x20
MSR_RI = 0x40
MSR_DCD = 0x80
MSR_CONNECTED = MSR_CTS | MSR_DSR | MSR_DCD  # what a peer that is always ready asserts
