# SPDX-License-Identifier: BSD-2-Clause
"""Configuration writes in any order, against a model that knows nothing but the rules.

A BAR has the address bits that its size leaves it. It wants its place while its space is enabled in
the command register, and the ROM's switch is on. Once it has the place it keeps it while it wants
it; what is free goes to the lowest function and BAR that wants it. RAM is never free.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from manager.bus.mmio import MemoryBus
from manager.bus.pci import PciBus, PciConfigState, PciFunction, PciHeader, PciSlot
from manager.bus.pci.bars import Behind
from manager.bus.ports import PortBus
from manager.bus.record import from_plain, to_plain
from manager.devices.claims import EXPANSION_ROM, IoBar, MemoryBar, PciIdentity

SLOTS = (3, 7, 9)
PORT_BAR, NARROW, WIDE = 0, 1, 2
RAM = (0, 0x4000_0000)
APIC = (0xFEE0_0000, 0x1000)
PORTS_TAKEN = (0x3F8, 8)
SIZES = {PORT_BAR: 16, NARROW: 0x100, WIDE: 0x1000, EXPANSION_ROM: 0x800}
COMMAND, BAR0, ROM_BAR = 0x04, 0x10, 0x30
WRITABLE_COMMAND = 0x0547
PORT_PLACES = (0, 0x3F0, 0xC000, 0xC008, 0xC010, 0xFFF0, 0x10000)
MEMORY_PLACES = (
    0, 0x3FFF_F000, 0xE000_0000, 0xE000_0100, 0xE000_0800, 0xE000_1000, 0xFEE0_0000, 0xFFFF_F000,
)  # fmt: skip
HIGH_PLACES = (0, 1, 0xFF, 0x100, 0xFFFF_FFFF)


class Tag:
    """Registers and ports that say whose they are."""

    def __init__(self, slot: int, bar: int) -> None:
        self.tag = slot << 4 | bar

    def read_wide(self, offset: int, size: int) -> int:
        return self.tag

    def write_wide(self, offset: int, size: int, value: int) -> None: ...

    def read_mmio(self, offset: int, size: int) -> int:
        return self.tag

    def write_mmio(self, offset: int, size: int, value: int) -> None: ...


class Pc:
    """Three functions that are alike, on one bus."""

    def __init__(self) -> None:
        self.ports, self.memory, self.bus = PortBus(), MemoryBus([RAM]), PciBus()
        self.ports.claim_wide(*PORTS_TAKEN, Tag(0, 0))
        self.memory.claim(*APIC, Tag(0, 0))
        self.functions: dict[int, PciFunction] = {}
        header = PciHeader(
            PciIdentity(1, 2, 3),
            bars=(IoBar(PORT_BAR, 0, SIZES[PORT_BAR]),),
            memory_bars=(
                MemoryBar(NARROW, 0, SIZES[NARROW]),
                MemoryBar(WIDE, 0, SIZES[WIDE], bits=64),
                MemoryBar(EXPANSION_ROM, 0, SIZES[EXPANSION_ROM]),
            ),
        )
        for slot in reversed(SLOTS):
            behind: dict[int, Behind] = {bar: Tag(slot, bar) for bar in SIZES}
            function = PciFunction(header, PciSlot(self.ports, self.memory), behind)
            self.functions[slot] = function
            self.bus.attach(slot, 0, function)

    def restored(self, order: list[int]) -> Pc:
        """Another PC in this state, whose functions are loaded in that order."""
        other = Pc()
        for slot in order:
            plain = to_plain(self.functions[slot].state)
            state = from_plain(PciConfigState, plain, PciConfigState.VERSION, "")
            other.functions[slot].state = state
            other.functions[slot].settle()
        other.bus.reclaim()
        return other


@dataclass
class Function:
    """A function of the model: what was written, as far as it exists, and what it owns."""

    command: int = 0
    registers: dict[int, int] = field(default_factory=lambda: {0: 1, 1: 0, 2: 4, 3: 0, 6: 0})
    """BARs 0 to 3 and the ROM's."""
    owned: dict[int, int] = field(default_factory=dict)
    """Base by BAR."""

    def write(self, register: int, value: int) -> None:
        if register == COMMAND:
            self.command = value & WRITABLE_COMMAND
        elif register == BAR0:
            self.registers[0] = value & 0xFFFF_FFF0 | 1
        elif register == BAR0 + 4:
            self.registers[1] = value & 0xFFFF_FF00
        elif register == BAR0 + 8:
            self.registers[2] = value & 0xFFFF_F000 | 4
        elif register == BAR0 + 12:
            self.registers[3] = value
        elif register == ROM_BAR:
            self.registers[6] = value & 0xFFFF_F801

    def read(self, register: int) -> int:
        if register == COMMAND:
            return self.command
        bar = {BAR0: 0, BAR0 + 4: 1, BAR0 + 8: 2, BAR0 + 12: 3, ROM_BAR: 6}[register]
        return self.registers[bar]

    def wanted(self) -> dict[int, int]:
        """Base by BAR of what ought to decode."""
        places = {}
        if self.command & 1:
            places[PORT_BAR] = self.registers[0] & ~0xF
        if self.command & 2:
            places[NARROW] = self.registers[1]
            places[WIDE] = self.registers[3] << 32 | self.registers[2] & ~0xF
            if self.registers[6] & 1:
                places[EXPANSION_ROM] = self.registers[6] & ~1
        return {bar: base for bar, base in places.items() if base}


class Model:
    """Who owns what."""

    def __init__(self) -> None:
        self.functions = {slot: Function() for slot in SLOTS}

    def write(self, slot: int, register: int, value: int) -> None:
        function = self.functions[slot]
        function.write(register, value)
        wanted = function.wanted()
        function.owned = {
            bar: base for bar, base in function.owned.items() if wanted.get(bar) == base
        }
        for other in SLOTS:
            for bar, base in sorted(self.functions[other].wanted().items()):
                if bar not in self.functions[other].owned and self.is_free(bar, base):
                    self.functions[other].owned[bar] = base

    def is_free(self, bar: int, base: int) -> bool:
        end = base + SIZES[bar]
        if end > (0x10000 if bar == PORT_BAR else 1 << 40):
            return False
        return not any(start < end and base < stop for start, stop in self.used(bar == PORT_BAR))

    def used(self, ports: bool) -> list[tuple[int, int]]:
        fixed = [PORTS_TAKEN] if ports else [RAM, APIC]
        owned = [
            (base, SIZES[bar])
            for function in self.functions.values()
            for bar, base in function.owned.items()
            if (bar == PORT_BAR) == ports
        ]
        return [(base, base + length) for base, length in (*fixed, *owned)]


slots = st.sampled_from(SLOTS)


class Configuration(RuleBasedStateMachine):
    """The bus and the model get the same writes."""

    @initialize()
    def power_on(self) -> None:
        self.pc, self.model = Pc(), Model()

    def write(self, slot: int, register: int, value: int) -> None:
        self.pc.bus.write(slot, 0, register, 4, value)
        self.model.write(slot, register, value)

    @rule(slot=slots, enable=st.integers(0, 7))
    def enable(self, slot: int, enable: int) -> None:
        self.write(slot, COMMAND, enable)

    @rule(slot=slots, base=st.sampled_from(PORT_PLACES))
    def place_ports(self, slot: int, base: int) -> None:
        self.write(slot, BAR0, base)

    @rule(
        slot=slots,
        register=st.sampled_from([BAR0 + 4, BAR0 + 8, ROM_BAR]),
        base=st.sampled_from(MEMORY_PLACES),
        switch=st.booleans(),
    )
    def place_memory(self, slot: int, register: int, base: int, switch: bool) -> None:
        self.write(slot, register, base | switch)

    @rule(slot=slots, high=st.sampled_from(HIGH_PLACES))
    def place_high(self, slot: int, high: int) -> None:
        self.write(slot, BAR0 + 12, high)

    @rule(
        slot=slots,
        register=st.sampled_from([COMMAND, BAR0, BAR0 + 4, BAR0 + 8, BAR0 + 12, ROM_BAR]),
        value=st.one_of(st.just(0xFFFF_FFFF), st.integers(0, 0xFFFF_FFFF)),
    )
    def write_anything(self, slot: int, register: int, value: int) -> None:
        self.write(slot, register, value)

    @rule(slot=slots, register=st.integers(0, 0xFF), size=st.sampled_from([1, 2, 4]))
    def write_back(self, slot: int, register: int, size: int) -> None:
        """What was read, in a part of any size: nothing changes but for what is written whole."""
        value = self.pc.bus.read(slot, 0, register, size)
        self.pc.bus.write(slot, 0, register, size, value)

    @rule(order=st.permutations(SLOTS))
    def suspend_and_resume(self, order: list[int]) -> None:
        self.pc = self.pc.restored(order)

    @invariant()
    def registers_read_as_the_model_says(self) -> None:
        for slot, function in self.model.functions.items():
            for register in (BAR0, BAR0 + 4, BAR0 + 8, BAR0 + 12, ROM_BAR):
                assert self.pc.bus.read(slot, 0, register, 4) == function.read(register)
            assert self.pc.bus.read(slot, 0, COMMAND, 2) == function.command

    @invariant()
    def addresses_answer_as_the_model_says(self) -> None:
        owners = {}
        for slot, function in self.model.functions.items():
            for bar, base in function.owned.items():
                owners[bar == PORT_BAR, base] = slot << 4 | bar
                owners[bar == PORT_BAR, base + SIZES[bar] - 4] = slot << 4 | bar
        for base in PORT_PLACES[:-1]:
            if not any(start <= base < end for start, end in self.model.used(ports=True)):
                assert self.pc.ports.read(base, 4) == 0xFFFF_FFFF
        wide = [high << 32 | low for high in HIGH_PLACES for low in MEMORY_PLACES]
        for base in {*wide, *(at for is_port, at in owners if not is_port)}:
            if not any(start <= base < end for start, end in self.model.used(ports=False)):
                assert self.pc.memory.read(base, 4) == 0xFFFF_FFFF
        for (is_port, base), tag in owners.items():
            found = self.pc.ports.read(base, 4) if is_port else self.pc.memory.read(base, 4)
            assert found == tag


TestConfiguration = Configuration.TestCase
TestConfiguration.settings = settings(max_examples=25, stateful_step_count=30)


@pytest.mark.parametrize("order", [SLOTS, SLOTS[::-1]])
def test_order_of_loading_does_not_choose_the_owner(order: tuple[int, ...]) -> None:
    pc = Pc()
    for slot in (9, 3):
        pc.bus.write(slot, 0, BAR0 + 4, 4, 0xE000_0000)
        pc.bus.write(slot, 0, COMMAND, 2, 2)

    assert pc.restored(list(order)).memory.read(0xE000_0000, 4) == 9 << 4 | NARROW
