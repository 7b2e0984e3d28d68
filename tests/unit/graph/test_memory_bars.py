# SPDX-License-Identifier: BSD-2-Clause
"""Memory BARs in the graph: where they are put, and what is told of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.pci_card import MEMORY_BARS, CardNode, plugged

from manager.bus.memory import HOMES
from manager.devices.claims import MemoryBar, PciAddress
from manager.graph import pci, plan
from manager.graph.build import load_graph
from manager.graph.identity import identity
from manager.graph.memory_map import memory_map
from manager.graph.nodes import Graph
from manager.machine import bar_memory

MACHINE = """
schema = 1
[boot]
image = "guest.bin"
load = 0x8000
entry = 0x8000
bits = 32
[slots.0]
device = "hostbridge"
[slots.31]
device = "lpc"
[lpc.com1]
"""
MIB = 1 << 20


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    path = tmp_path / "machine.toml"
    path.write_text(MACHINE)
    return plugged(load_graph(path), (5, 6))


def placed(*bars: MemoryBar) -> list[int]:
    node = CardNode("slots.5", None, PciAddress(5, 0), memory_bars=bars)
    return [bar.base for bar in pci.wired([node], [])[0].memory_bars]


def test_bars_follow_each_other_each_at_a_multiple_of_its_size(graph: Graph) -> None:
    bases = [bar.base for node in graph.devices for bar in node.memory_bars]

    assert list(map(hex, bases)) == [
        "0xe0000000", "0xe0001000", "0xe0010000", "0xe0020000",
        "0xe0021000", "0xe0022000", "0xe0030000", "0xe0040000",
    ]  # fmt: skip


def test_a_bar_without_room_stays_without_a_place_and_takes_none() -> None:
    large = 256 * MIB
    bases = placed(MemoryBar(0, 0, large), MemoryBar(1, 0, large), MemoryBar(2, 0, 4096))

    assert bases == [0xE000_0000, 0, 0xF000_0000]


def test_a_base_that_a_kind_has_chosen_stays() -> None:
    assert placed(MemoryBar(0, 0xFD00_0000, 4096), MemoryBar(1, 0, 4096)) == [
        0xFD00_0000, 0xE000_0000,
    ]  # fmt: skip


def test_plan_shows_bars_and_the_memory_map_has_them(graph: Graph) -> None:
    text = plan.render(graph)
    regions = {(region.base, region.kind, region.owner) for region in memory_map(graph)}

    assert "0xe0010000-0xe001ffff" in text
    assert (0xE000_0000, "registers", "slots.5") in regions
    assert (0xE001_0000, "memory", "slots.5") in regions
    assert (0xE003_0000, "memory", "slots.6") in regions


def test_bars_are_part_of_the_identity(graph: Graph) -> None:
    devices = identity(graph)["devices"]
    assert isinstance(devices, dict)
    card, bridge = devices["slots.5"], devices["slots.31"]

    assert isinstance(card, dict)
    assert isinstance(card["memory_bars"], list)
    assert len(card["memory_bars"]) == len(MEMORY_BARS)
    assert isinstance(bridge, dict)
    assert "memory_bars" not in bridge


def test_memory_behind_bars_has_homes_that_only_its_place_decides(graph: Graph) -> None:
    assert bar_memory.layout(graph) == [
        (HOMES + ((5 * 64 + 4) << 40), 0x10000),
        (HOMES + ((6 * 64 + 4) << 40), 0x10000),
    ]
