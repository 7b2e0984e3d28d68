# SPDX-License-Identifier: BSD-2-Clause
"""The records of an 82540EM."""

from __future__ import annotations

from manager.bus.record import NEVER, Record, flag, ints, moment, nested, several, uint
from manager.devices.e1000.registers import CTRL_AT_RESET
from manager.lazy import dataclass

CAUSES = "TXDW TXQE LSC RXSEQ RXDMT0 - RXO RXT0 - MDAC RXCFG GPI0 PHYINT GPI2 GPI3 TXDLOW SRPD"
COUNTERS = 64
PHY_REGISTERS = 32
DESCRIPTOR = 16
"""Bytes."""


@dataclass(slots=True)
class RingState(Record):
    """A ring of descriptors in RAM."""

    TYPE = "e1000-ring"

    base: int = uint(64, "address of the first descriptor")
    length: int = uint(20, "bytes of all descriptors")
    head: int = uint(16, "descriptor that the card takes next")
    tail: int = uint(16, "descriptor that the driver fills next")

    @property
    def count(self) -> int:
        """Descriptors."""
        return self.length // DESCRIPTOR

    @property
    def available(self) -> int:
        """Descriptors that the card has; none of a ring whose head or tail is outside of it."""
        count = self.count
        return (self.tail - self.head) % count if max(self.head, self.tail) < count else 0


@dataclass(slots=True)
class ContextState(Record):
    """What a context descriptor has told for the frames after it."""

    TYPE = "e1000-context"

    ip_start: int = uint(8, "where the sum of the IP header begins")
    ip_offset: int = uint(8, "where it is put")
    ip_end: int = uint(16, "its last byte; 0: that of the frame")
    start: int = uint(8, "where the sum of TCP or UDP begins")
    offset: int = uint(8, "where it is put")
    end: int = uint(16, "its last byte; 0: that of the frame")
    payload: int = uint(20, "bytes to cut into segments")
    header: int = uint(8, "bytes of the headers before each segment")
    segment: int = uint(16, "bytes of a segment")
    is_tcp: bool = flag("whether it is TCP, or else UDP")
    is_ipv4: bool = flag("whether it is IPv4, or else IPv6")


@dataclass(slots=True)
class EepromState(Record):
    """The serial lines to the EEPROM, and the register that reads it in one step."""

    TYPE = "e1000-eeprom"

    lines: int = uint(8, "EECD", names="SK CS DI - FWE0 FWE1 REQ")
    bits: int = uint(5, "bits that have gone in or out since it was selected")
    shifted: int = uint(16, "what has gone in; then the word that goes out")
    reads: bool = flag("whether a word goes out")
    out: int = uint(1, "the level of DO")
    read: int = uint(32, "EERD")


@dataclass(slots=True)
class ControllerState(Record):
    """Registers, rings, and the frame that is being sent."""

    TYPE = "e1000-controller"

    control: int = uint(32, "CTRL", CTRL_AT_RESET)
    extended_control: int = uint(32, "CTRL_EXT")
    mdi: int = uint(32, "MDIC", 1 << 28)
    phy: list[int] = ints(PHY_REGISTERS, 16, "registers of the PHY that the driver has written")
    flow_address_low: int = uint(32, "FCAL")
    flow_address_high: int = uint(32, "FCAH")
    flow_type: int = uint(32, "FCT")
    flow_timer: int = uint(32, "FCTTV")
    flow_low: int = uint(32, "FCRTL")
    flow_high: int = uint(32, "FCRTH")
    vlan_type: int = uint(32, "VET")
    causes: int = uint(32, "interrupt causes, ICR", names=CAUSES)
    mask: int = uint(32, "interrupt mask, IMS", names=CAUSES)
    throttling: int = uint(32, "ITR, without effect")
    receive_control: int = uint(
        32, "RCTL", names="- EN SBP UPE MPE LPE LBM0 LBM1 - - - - MO0 MO1 - BAM"
    )
    transmit_control: int = uint(32, "TCTL", names="- EN - PSP")
    transmit_word: int = uint(32, "TXCW")
    gap: int = uint(32, "TIPG")
    adaptive_gap: int = uint(32, "AIT")
    leds: int = uint(32, "LEDCTL")
    buffer_allocation: int = uint(32, "PBA", 0x0010_0030)
    receive_delay: int = uint(32, "RDTR, without effect")
    receive_descriptors: int = uint(32, "RXDCTL")
    receive_limit: int = uint(32, "RADV, without effect")
    small_packets: int = uint(32, "RSRPD")
    transmit_delay: int = uint(32, "TIDV, without effect")
    transmit_descriptors: int = uint(32, "TXDCTL")
    transmit_limit: int = uint(32, "TADV, without effect")
    segmentation_pad: int = uint(32, "TSPMT")
    receive_checksum: int = uint(32, "RXCSUM, without effect")
    wake_up: int = uint(32, "WUC")
    wake_up_filter: int = uint(32, "WUFC")
    management: int = uint(32, "MANC")
    counters: list[int] = ints(COUNTERS, 32, "statistics, from 4000h on")
    groups: list[int] = ints(128, 32, "MTA: hash filter of groups")
    addresses: list[int] = ints(32, 32, "RAL, RAH: addresses that are received")
    vlans: list[int] = ints(128, 32, "VFTA: VLANs that are received")
    receive: RingState = nested(RingState, "receive ring")
    transmit: RingState = nested(RingState, "transmit ring")
    contexts: list[ContextState] = several(ContextState, 2, "of whole frames, and of segments")
    eeprom: EepromState = nested(EepromState, "the way to the EEPROM")
    selected: int = uint(32, "register that the I/O ports reach")
    due: int = moment("when the frame is sent", NEVER)
