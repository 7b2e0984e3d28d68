# SPDX-License-Identifier: BSD-2-Clause
"""Registers, bits and commands of an ATA drive.

Source: ATA/ATAPI-6 (T13/1410D), sections 7 and 8; names are the standard's.
"""

from __future__ import annotations

CHANNELS = ((0x1F0, 0x3F6, 14), (0x170, 0x376, 15))
"""Command block, control port and interrupt of each channel."""
MASTER_BAR = 4
MASTER_LENGTH = 16

# Command block, by offset from 0x1F0 or 0x170.
DATA = 0
ERROR = FEATURES = 1
COUNT = 2
LBA_LOW = 3
LBA_MID = 4
LBA_HIGH = 5
DEVICE = 6
STATUS = COMMAND = 7
COMMAND_BLOCK = 8

# Status register.
ERR = 0x01
DRQ = 0x08  # data may be moved through the data register
DSC = 0x10  # seek complete; drivers of old drives wait for it
DF = 0x20  # device fault
DRDY = 0x40
BSY = 0x80

# Error register.
ABRT = 0x04
IDNF = 0x10  # no such sector
UNC = 0x40  # the data cannot be read
DIAGNOSTIC_PASSED = 0x01

# Device register.
DEVICE_SLAVE = 0x10
DEVICE_LBA = 0x40
DEVICE_ONES = 0xA0  # bits that always read as ones
HEAD = 0x0F

# Device control register, at 0x3F6 or 0x376.
CONTROL_NIEN = 0x02  # no interrupts
CONTROL_SRST = 0x04
CONTROL_HOB = 0x80  # read the registers as they were before the last write

# Interrupt reason, in the count register while a packet command is under way.
REASON_COMMAND = 0x01
REASON_IN = 0x02

# Commands.
NOP = 0x00
DATA_SET_MANAGEMENT = 0x06
DEVICE_RESET = 0x08
RECALIBRATE = 0x10
READ_SECTORS = 0x20
READ_SECTORS_NO_RETRY = 0x21
READ_SECTORS_EXT = 0x24
READ_DMA_EXT = 0x25
READ_NATIVE_MAX_EXT = 0x27
READ_MULTIPLE_EXT = 0x29
WRITE_SECTORS = 0x30
WRITE_SECTORS_NO_RETRY = 0x31
WRITE_SECTORS_EXT = 0x34
WRITE_DMA_EXT = 0x35
WRITE_MULTIPLE_EXT = 0x39
READ_VERIFY = 0x40
READ_VERIFY_NO_RETRY = 0x41
READ_VERIFY_EXT = 0x42
SEEK = 0x70
EXECUTE_DIAGNOSTIC = 0x90
INITIALIZE_PARAMETERS = 0x91
PACKET = 0xA0
IDENTIFY_PACKET = 0xA1
READ_MULTIPLE = 0xC4
WRITE_MULTIPLE = 0xC5
SET_MULTIPLE = 0xC6
READ_DMA = 0xC8
READ_DMA_NO_RETRY = 0xC9
WRITE_DMA = 0xCA
WRITE_DMA_NO_RETRY = 0xCB
STANDBY_IMMEDIATE = 0xE0
IDLE_IMMEDIATE = 0xE1
STANDBY = 0xE2
IDLE = 0xE3
CHECK_POWER_MODE = 0xE5
SLEEP = 0xE6
FLUSH_CACHE = 0xE7
FLUSH_CACHE_EXT = 0xEA
IDENTIFY = 0xEC
SET_FEATURES = 0xEF
READ_NATIVE_MAX = 0xF8
