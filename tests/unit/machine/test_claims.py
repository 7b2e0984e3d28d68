# SPDX-License-Identifier: BSD-2-Clause
"""What devices have claimed on their buses is what the graph says: no more, and no less."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.whole_board import EVERYTHING, board

from manager.config.labs import is_lab
from manager.devices.claims import EXPANSION_ROM, MemoryRange, PortRange
from manager.devices.node import DeviceNode
from manager.graph.board import tacit_parts
from manager.graph.build import load_graph
from manager.graph.nodes import FirmwareBoot, Graph

ROOT = Path(__file__).parents[3]
SHIPPED = sorted(
    path
    for folder in ("machines", "examples")
    for path in (ROOT / folder).rglob("*.toml")
    if not is_lab(path)
)
NO_FUNCTION = 0xFFFFFFFF


def ports_of(node: DeviceNode, graph: Graph) -> set[int]:
    """The ports that a device has before the guest starts; BARs wait for firmware, if there is."""
    ranges = [*node.ports, *node.nested_ports]
    if not isinstance(graph.boot, FirmwareBoot):
        ranges += [PortRange(bar.base, bar.length) for bar in node.bars]
    return {port for ports in ranges for port in range(ports.base, ports.end)}


def registers_of(node: DeviceNode, graph: Graph) -> list[MemoryRange]:
    """The registers in memory that a device has before the guest starts."""
    movable = [
        MemoryRange(bar.base, bar.length)
        for bar in node.memory_bars
        if bar.index != EXPANSION_ROM and not bar.ram
    ]
    return [*node.memory, *(movable if not isinstance(graph.boot, FirmwareBoot) else [])]


def check(graph: Graph) -> None:
    built = board(graph)

    nodes = (*graph.devices, *tacit_parts(graph.devices))
    expected = set().union(*(ports_of(node, graph) for node in nodes))
    assert sorted(map(hex, built.io.claimed() ^ expected)) == []
    mapped = [(base, length) for base, length, _ in built.addresses.registers()]
    registers = [place for node in nodes for place in registers_of(node, graph)]
    assert mapped == sorted((place.base, place.length) for place in registers)
    functions = {node.address: node.pci for node in graph.devices if node.address is not None}
    found = {
        (slot, number): value
        for slot in range(32)
        for number in range(8)
        if (value := built.pci.read(slot, number, 0, 4)) != NO_FUNCTION
    }
    assert found == {
        (at.slot, at.function): pci.device << 16 | pci.vendor
        for at, pci in functions.items()
        if pci is not None
    }
    assert built.devices.keys() == {node.id for node in nodes}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_machine_claims_what_its_graph_says(path: Path) -> None:
    check(load_graph(path))


@pytest.mark.parametrize("boot", ['firmware = "bios.bin"', 'kernel = "bios.bin"'])
def test_every_kind_of_device_claims_what_the_graph_says(tmp_path: Path, boot: str) -> None:
    path = tmp_path / "machine.toml"
    firmware = 'firmware = "bios.bin"\nvariables = "vars.fd"'
    path.write_text(EVERYTHING.replace(firmware, boot))

    check(load_graph(path))
