# SPDX-License-Identifier: BSD-2-Clause
"""The card in docs/pci.md does what the page says."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from support.tutorial import blocks

from manager.bus.dma import Dma
from manager.bus.memory import Memory
from manager.bus.mmio import MemoryBus
from manager.bus.pci import PciHeader, PciSlot
from manager.bus.pci.registers import COMMAND_BUS_MASTER, COMMAND_MEMORY
from manager.devices.claims import MemoryBar, PciIdentity

PAGE = Path(__file__).parents[3] / "docs" / "pci.md"
REGISTERS, TABLE = 0xE000_0000, 0xE000_1000


class Messages:
    def __init__(self) -> None:
        self.sent: list[tuple[int, int]] = []

    def send(self, address: int, data: int) -> None:
        self.sent.append((address, data))


def page_as_module(folder: Path) -> ModuleType:
    (source,) = [block.text for block in blocks(PAGE.read_text()) if "class Summer(" in block.text]
    (folder / "summer.py").write_text(source)
    spec = importlib.util.spec_from_file_location("summer", folder / "summer.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["summer"] = module
    spec.loader.exec_module(module)
    return module


def test_the_card_adds_up_ram_and_says_so(tmp_path: Path) -> None:
    memory, bus, messages = Memory.blank(1 << 20), MemoryBus(), Messages()
    memory.write(0x1000, bytes([1, 2, 3, 4]))
    header = PciHeader(
        PciIdentity(0x1AF4, 0x10F1, 0xFF0000),
        command=COMMAND_MEMORY | COMMAND_BUS_MASTER,
        memory_bars=(MemoryBar(0, REGISTERS, 0x1000), MemoryBar(2, TABLE, 0x1000)),
    )
    dma = Dma(memory, lambda start, end: None)
    card = page_as_module(tmp_path).Summer(header, PciSlot(memory=bus, messages=messages, dma=dma))

    for offset, value in ((0, 0xFEE0_0000), (8, 0x41), (12, 0)):
        bus.write(TABLE + offset, 4, value)
    card.function.write(0x42, 2, 0x8000)
    bus.write(REGISTERS, 4, 0x1000)
    bus.write(REGISTERS + 4, 4, 3)

    assert bus.read(REGISTERS + 8, 4) == 6
    assert messages.sent == [(0xFEE0_0000, 0x41)]
