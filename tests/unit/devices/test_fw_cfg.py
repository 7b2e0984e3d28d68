# SPDX-License-Identifier: BSD-2-Clause
"""fw_cfg as firmware uses it: byte by byte, and by DMA."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from manager.bus.dma import Dma
from manager.bus.memory import Memory
from manager.bus.ports import PortBus
from manager.bus.record import from_plain, to_plain
from manager.devices.fw_cfg.device import NO_ITEM, PORTS_LENGTH, FwCfg, FwCfgState, Items

SELECTOR, DATA, DMA_HIGH, DMA_LOW = 0x510, 0x511, 0x514, 0x518
ERROR, READ, SKIP, SELECT, WRITE = 1, 2, 4, 8, 16
RAM = 4 << 20
DESCRIPTOR, BUFFER = 0x8000, 0x9000
HELLO = 0x20


class Pc:
    """The device on a bus, with RAM."""

    def __init__(self, items: Items | None = None) -> None:
        self.asked = 0
        self.items: Items = {HELLO: b"hello", 0x21: b"other"} if items is None else items
        self.memory = Memory.blank(RAM)
        self.written: list[tuple[int, int]] = []
        dma = Dma(self.memory, lambda start, end: self.written.append((start, end)))
        self.device = FwCfg(self._contents, dma)
        self.io = PortBus()
        self.io.claim_wide(SELECTOR, PORTS_LENGTH, self.device)

    def _contents(self) -> Items:
        self.asked += 1
        return self.items

    def bytes(self, count: int) -> bytes:
        return bytes(self.io.read(DATA, 1) for _ in range(count))

    def dma(self, control: int, length: int = 0, address: int = 0) -> int:
        """Run one transfer; the control word afterwards."""
        self.memory.write(DESCRIPTOR, struct.pack(">IIQ", control, length, address))
        self.io.write(DMA_HIGH, 4, 0)
        self.io.write(DMA_LOW, 4, int.from_bytes(struct.pack(">I", DESCRIPTOR), "little"))
        (result,) = struct.unpack(">I", self.memory.read(DESCRIPTOR, 4))
        assert isinstance(result, int)
        return result


def test_signature_and_version_say_that_there_is_dma() -> None:
    pc = Pc()

    pc.io.write(SELECTOR, 2, 0)
    signature = pc.bytes(4)
    pc.io.write(SELECTOR, 2, 1)
    version = int.from_bytes(pc.bytes(4), "little")
    register = pc.io.read(DMA_HIGH, 4).to_bytes(4, "little")
    register += pc.io.read(DMA_LOW, 4).to_bytes(4, "little")

    assert (signature, version, register) == (b"QEMU", 3, b"QEMU CFG")


def test_item_reads_from_its_start_after_each_selection_and_as_zeros_past_its_end() -> None:
    pc = Pc()

    pc.io.write(SELECTOR, 2, HELLO)
    first = pc.bytes(3)
    pc.io.write(SELECTOR, 2, HELLO)
    second = pc.bytes(8)

    assert (first, second) == (b"hel", b"hello\0\0\0")


def test_unknown_item_is_empty() -> None:
    pc = Pc()

    pc.io.write(SELECTOR, 2, 0x8000)

    assert pc.bytes(4) == bytes(4)


def test_dma_selects_and_reads_in_one_go_and_tells_of_the_write() -> None:
    pc = Pc()

    result = pc.dma(HELLO << 16 | SELECT | READ, 5, BUFFER)

    assert result == 0
    assert pc.memory.read(BUFFER, 6) == b"hello\0"
    assert (BUFFER, BUFFER + 5) in pc.written


def test_dma_goes_on_where_the_last_read_ended() -> None:
    pc = Pc()

    pc.dma(HELLO << 16 | SELECT)
    pc.dma(SKIP, 1)
    pc.dma(READ, 2, BUFFER)
    rest = pc.bytes(3)

    assert pc.memory.read(BUFFER, 2) == b"el"
    assert rest == b"lo\0"


def test_dma_past_the_end_writes_zeros() -> None:
    pc = Pc()
    pc.memory.write(BUFFER, b"x" * 0x20000)

    result = pc.dma(HELLO << 16 | SELECT | READ, 0x1FFFF, BUFFER)

    assert result == 0
    assert pc.memory.read(BUFFER, 0x20000) == b"hello" + bytes(0x1FFFA) + b"x"


def test_dma_to_where_there_is_no_ram_is_an_error() -> None:
    pc = Pc()

    assert pc.dma(HELLO << 16 | SELECT | READ, 5, RAM - 2) == ERROR
    assert pc.dma(HELLO << 16 | SELECT | READ, 0xFFFFFFFF, BUFFER) == ERROR


def test_items_cannot_be_written() -> None:
    pc = Pc()

    assert pc.dma(HELLO << 16 | SELECT | WRITE, 5, BUFFER) == ERROR
    pc.io.write(SELECTOR, 2, HELLO)
    pc.io.write(DATA, 1, 0x55)

    assert pc.bytes(5) == b"hello"


def test_descriptor_outside_of_ram_does_nothing() -> None:
    pc = Pc()

    pc.io.write(DMA_HIGH, 4, 0xFFFFFFFF)
    pc.io.write(DMA_LOW, 4, 0xFFFFFFFF)

    assert pc.written == []


def test_contents_are_asked_for_once_and_not_before_they_are_needed() -> None:
    pc = Pc()

    pc.io.write(SELECTOR, 2, 0)
    pc.bytes(4)
    before = pc.asked
    pc.io.write(SELECTOR, 2, HELLO)
    pc.bytes(4)

    assert (before, pc.asked) == (0, 1)


def test_restored_device_goes_on_in_the_middle_of_an_item() -> None:
    old, new = Pc(), Pc()
    old.io.write(SELECTOR, 2, HELLO)
    old.bytes(2)

    plain = to_plain(old.device.save())
    new.device.load(from_plain(FwCfgState, plain, FwCfgState.VERSION, "board.fw-cfg"))

    assert new.bytes(3) == b"llo"


def test_reset_selects_nothing() -> None:
    pc = Pc()
    pc.io.write(SELECTOR, 2, HELLO)

    pc.device.reset()

    assert pc.device.save().key == NO_ITEM
    assert pc.bytes(2) == bytes(2)


accesses = st.tuples(
    st.booleans(),
    st.integers(SELECTOR, DMA_LOW + 3),
    st.sampled_from((1, 2, 4)),
    st.integers(0, 0xFFFFFFFF),
)


@given(st.lists(accesses, max_size=30), st.binary(min_size=16, max_size=16))
def test_no_access_raises(accesses: list[tuple[bool, int, int, int]], descriptor: bytes) -> None:
    pc = Pc()
    pc.memory.write(0, descriptor)
    for is_write, port, size, value in accesses:
        mask = (1 << 8 * size) - 1
        if is_write:
            pc.io.write(port, size, value & mask)
        else:
            assert 0 <= pc.io.read(port, size) <= mask
    pc.io.write(DMA_LOW, 4, 0)
    plain = to_plain(pc.device.save())

    assert to_plain(from_plain(FwCfgState, plain, FwCfgState.VERSION, "board.fw-cfg")) == plain
