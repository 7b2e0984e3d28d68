# SPDX-License-Identifier: BSD-2-Clause
"""The record of a DP8390."""

from __future__ import annotations

from manager.bus.record import NEVER, Record, ints, moment, octets, uint
from manager.devices.ne2k.registers import IN_RESET, REMOTE_ABORT, STOP
from manager.lazy import dataclass

TALLIES = 3


@dataclass(slots=True)
class Dp8390State(Record):
    """The controller's registers, and the frame that is being sent."""

    TYPE = "dp8390"

    command: int = uint(
        8, "command register", STOP | REMOTE_ABORT, names="STP STA TXP RD0 RD1 RD2 PS0 PS1"
    )
    interrupts: int = uint(8, "interrupt status", IN_RESET, names="PRX PTX RXE TXE OVW CNT RDC RST")
    mask: int = uint(8, "interrupt mask", names="PRXE PTXE RXEE TXEE OVWE CNTE RDCE")
    data_configuration: int = uint(8, "data configuration", names="WTS BOS LAS LS AR FT0 FT1")
    transmit_configuration: int = uint(8, "transmit configuration", names="CRC LB0 LB1 ATD OFST")
    receive_configuration: int = uint(8, "receive configuration", names="SEP AR AB AM PRO MON")
    transmit_status: int = uint(8, "transmit status", names="PTX - COL ABT CRS FU CDH OWC")
    receive_status: int = uint(8, "receive status", names="PRX CRC FAE FO MPA PHY DIS DFR")
    page_start: int = uint(8, "first page of the receive ring")
    page_stop: int = uint(8, "page after the last of the receive ring")
    boundary: int = uint(8, "page of the ring that the driver has read up to")
    current: int = uint(8, "page of the ring that the next frame goes to")
    transmit_page: int = uint(8, "page of the frame to send")
    transmit_count: int = uint(16, "bytes of the frame to send")
    remote_address: int = uint(16, "where remote DMA goes on")
    remote_count: int = uint(16, "bytes that remote DMA has left")
    physical: bytearray = octets(6, 6, "the card's address, as the driver has set it", bytes(6))
    multicast: bytearray = octets(8, 8, "hash filter: the groups that are received", bytes(8))
    tallies: list[int] = ints(TALLIES, 8, "frames lost: alignment, checksum, missed")
    fifo: bytearray = octets(8, 8, "the end of a frame that was looped back", bytes(8))
    fifo_at: int = uint(3, "byte of the FIFO that is read next")
    eeprom_command: int = uint(8, "9346CR, of the RTL8029AS")
    config2: int = uint(8, "CONFIG2, of the RTL8029AS")
    config3: int = uint(8, "CONFIG3, of the RTL8029AS")
    due: int = moment("when the frame is sent", NEVER)
