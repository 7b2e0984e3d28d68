# SPDX-License-Identifier: BSD-2-Clause
"""The graph: which device gets which place, port and interrupt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manager.config.diagnostics import ConfigError, Diagnostic
from manager.config.load import load
from manager.devices.claims import IoBar, MemoryRange, PciAddress, PciIdentity, PortRange
from manager.graph.build import build, check, load_graph
from manager.graph.identity import full_hash, identity_hash
from manager.graph.nodes import FirmwareBoot, Graph, ImageBoot, KernelBoot, Ready

BOOT = '[boot]\nimage = "a.bin"\nload = 0x8000\nentry = 0x8004\nbits = 32\n'
BRIDGES = '[slots.0]\ndevice = "hostbridge"\n[slots.31]\ndevice = "lpc"\n'
UART = 'device = "uart"\n'
Make = Callable[..., Graph]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make(text: str, *overrides: str) -> Graph:
        path = tmp_path / "demo.toml"
        path.write_text(text)
        return load_graph(path, overrides)

    return make


def test_every_machine_has_the_board(make: Make) -> None:
    graph = make(BOOT)
    assert [(node.id, node.type) for node in graph.devices] == [
        ("board.pic", "pic"),
        ("board.pit", "pit"),
        ("board.rtc", "rtc"),
        ("board.keyboard", "keyboard"),
        ("board.port92", "port92"),
        ("board.reset", "reset-control"),
        ("board.lapic", "lapic"),
        ("board.ioapic", "ioapic"),
        ("board.acpi-pm", "acpi-pm"),
    ]
    ports = {node.id: [(r.base, r.length) for r in node.ports] for node in graph.devices}
    assert ports["board.pic"] == [(0x20, 2), (0xA0, 2), (0x4D0, 2)]
    assert ports["board.pit"] == [(0x40, 4), (0x61, 1)]
    assert ports["board.rtc"] == [(0x70, 2)]
    assert graph.devices[2].irq == 8
    assert graph.devices[5].properties == {"port": 0xCF9}
    memory = {node.id: node.memory for node in graph.devices if node.memory}
    assert memory == {
        "board.lapic": (MemoryRange(0xFEE0_0000, 0x1000),),
        "board.ioapic": (MemoryRange(0xFEC0_0000, 0x1000),),
    }
    assert (ports["board.acpi-pm"], graph.devices[8].irq) == ([(0x600, 16)], 9)


def test_devices_come_board_first_then_pci_by_address_then_lpc(make: Make) -> None:
    graph = make(
        BOOT + "[lpc.debug-exit]\n[lpc.com3]\n[lpc.com1]\n"
        f"[slots.10]\n{UART}[slots.4.1]\n{UART}[slots.4]\n{UART}{BRIDGES}"
    )
    assert [node.id for node in graph.devices[9:]] == [
        "slots.0", "slots.4", "slots.4.1", "slots.10", "slots.31",
        "lpc.com1", "lpc.com3", "lpc.debug-exit",
    ]  # fmt: skip
    assert {node.parent for node in graph.devices if node.id.startswith("lpc.")} == {"slots.31"}
    assert {graph.devices[n].parent for n in range(10, 14)} == {"slots.0"}
    assert graph.device("slots.0").parent is None  # type: ignore[union-attr]


def test_com_ports_have_their_usual_places(make: Make) -> None:
    graph = make(BOOT + BRIDGES + "".join(f"[lpc.com{n}]\n" for n in (1, 2, 3, 4)))
    com = [node for node in graph.devices if node.type == "isa-uart"]
    assert [(node.ports[0], node.irq) for node in com] == [
        (PortRange(0x3F8, 8), 4),
        (PortRange(0x2F8, 8), 3),
        (PortRange(0x3E8, 8), 4),
        (PortRange(0x2E8, 8), 3),
    ]


def test_pci_functions_say_who_they_are(make: Make) -> None:
    graph = make(BOOT + BRIDGES + f"[slots.4]\n{UART}")
    ids = {node.id: node.pci for node in graph.devices if node.pci is not None}
    assert ids["slots.0"] == PciIdentity(0x8086, 0x1237, 0x060000)
    assert ids["slots.31"] == PciIdentity(0x8086, 0x7000, 0x060100)
    uart = ids["slots.4"]
    assert (uart.vendor, uart.device, uart.class_code) == (0x1B36, 0x0002, 0x070002)
    assert graph.device("slots.0").ports == (PortRange(0xCF8, 8),)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("slot", "pirq", "irq"), [(4, 0, 10), (5, 1, 11), (6, 2, 5), (7, 3, 10), (8, 0, 10)]
)
def test_pins_are_routed_by_slot(make: Make, slot: int, pirq: int, irq: int) -> None:
    graph = make(BOOT + BRIDGES + f"[slots.{slot}]\n{UART}")
    node = graph.device(f"slots.{slot}")
    assert node is not None
    assert (node.pin, node.pirq, node.irq) == (1, pirq, irq)
    bridge = graph.device("slots.31")
    assert bridge is not None
    assert bridge.properties == {"pirq_a": 10, "pirq_b": 11, "pirq_c": 5, "pirq_d": 10}


def test_without_lpc_bridge_a_pin_leads_nowhere(make: Make) -> None:
    node = make(BOOT + f'[slots.0]\ndevice = "hostbridge"\n[slots.4]\n{UART}').device("slots.4")
    assert node is not None
    assert (node.pin, node.pirq, node.irq) == (1, None, None)


def test_bars_are_placed_by_address_and_keep_off_fixed_ports(make: Make) -> None:
    graph = make(
        BOOT + BRIDGES + f"[slots.9]\n{UART}[slots.2]\n{UART}[slots.2.3]\n{UART}"
        "[lpc.debug-exit]\nport = 0xc009"
    )
    bars = {node.id: node.bars for node in graph.devices if node.bars}
    assert bars == {
        "slots.2": (IoBar(0, 0xC000, 8),),
        "slots.2.3": (IoBar(0, 0xC010, 8),),
        "slots.9": (IoBar(0, 0xC018, 8),),
    }


def test_functions_of_one_slot_are_marked(make: Make) -> None:
    graph = make(BOOT + BRIDGES + f"[slots.2]\n{UART}[slots.2.1]\n{UART}[slots.3]\n{UART}")
    marked = [node.id for node in graph.devices if node.properties.get("multifunction")]
    assert marked == ["slots.2", "slots.2.1"]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations([*range(7)]))
def test_order_of_tables_does_not_matter(make: Make, order: list[int]) -> None:
    tables = [
        BOOT,
        '[slots.0]\ndevice = "hostbridge"\n',
        '[slots.31]\ndevice = "lpc"\n',
        f"[slots.4]\n{UART}",
        f'[slots."4.1"]\n{UART}',
        f"[slots.10]\n{UART}",
        "[lpc.com1]\n[lpc.com2]\n",
    ]
    expected = make("".join(tables))
    shuffled = make("".join(tables[number] for number in order))
    assert shuffled == expected
    assert full_hash(shuffled) == full_hash(expected)
    assert identity_hash(shuffled) == identity_hash(expected)


@pytest.mark.parametrize(("com", "base", "irq"), [("com1", 0x3F8, 4), ("com2", 0x2F8, 3)])
def test_legacy_uart_takes_a_com_port_and_warns(
    tmp_path: Path, com: str, base: int, irq: int
) -> None:
    path = tmp_path / "demo.toml"
    path.write_text(BOOT + BRIDGES + f'[slots.4]\n{UART}legacy = "{com}"\n[slots.5]\n{UART}')
    warnings: list[Diagnostic] = []
    graph = load_graph(path, on_warning=warnings.append)
    node, other = graph.device("slots.4"), graph.device("slots.5")
    assert node is not None
    assert other is not None
    assert (node.bars, node.irq, node.pirq) == ((IoBar(0, base, 8),), irq, None)
    assert node.properties["fixed_irq"] is True
    assert other.bars == (IoBar(0, 0xC000, 8),)
    assert [warning.code for warning in warnings] == ["VM090"]


def test_com1_and_com3_may_share_an_interrupt(make: Make) -> None:
    assert make(BOOT + BRIDGES + "[lpc.com1]\n[lpc.com3]\n").serial_ports()


def test_reset_register_is_taken_even_without_host_bridge(tmp_path: Path) -> None:
    path = tmp_path / "demo.toml"
    path.write_text(BOOT + '[slots.31]\ndevice = "lpc"\n[lpc.debug-exit]\nport = 0xcf9\n')
    codes = [item.code for item in check(path, require_files=False).diagnostics]
    assert codes == ["VM043", "VM050"]


def test_three_ways_to_boot(make: Make, tmp_path: Path) -> None:
    assert make(BOOT).boot == ImageBoot(tmp_path / "a.bin", 0x8000, 0x8004, 32)
    assert make('[boot]\nfirmware = "rom"').boot == FirmwareBoot(tmp_path / "rom")
    kernel = make('[boot]\nkernel = "k"\ninitrd = "i"\ncmdline = "c"\nmodules = ["m a"]').boot
    modules = (f"{tmp_path / 'm'} a",)
    assert kernel == KernelBoot(tmp_path / "k", tmp_path / "i", "c", modules)


@pytest.mark.parametrize(
    ("port", "expected"),
    [("", "com2"), ('port = "lpc.com2"', "com2"), ('port = "slots.4"', "slots.4")],
)
def test_ready_names_a_serial_port(make: Make, port: str, expected: str) -> None:
    text = f'{BOOT}{BRIDGES}[lpc.com2]\n[slots.4]\n{UART}[ready]\nwait-for = "ok"\n{port}'
    assert make(text).ready == Ready(expected, "ok")


def test_backends_come_with_their_options(make: Make, tmp_path: Path) -> None:
    graph = make(
        BOOT + BRIDGES + '[lpc.com1]\nbackend = { type = "file", path = "log" }\n[lpc.com2]\n'
    )
    backends = [node.backend for node in graph.serial_ports()]
    assert [(b.type, b.options) for b in backends if b is not None] == [
        ("file", {"path": str(tmp_path / "log")}),
        ("null", {}),
    ]


def test_errors_of_both_kinds_are_reported_together(tmp_path: Path) -> None:
    path = tmp_path / "demo.toml"
    path.write_text(BOOT + BRIDGES + 'unknown = 1\n[slots.4.1]\ndevice = "uart"\n')
    checked = check(path)
    assert [item.code for item in checked.diagnostics] == ["VM070", "VM010", "VM040"]
    assert checked.graph is None


def test_build_raises_what_check_returns(tmp_path: Path) -> None:
    path = tmp_path / "demo.toml"
    path.write_text(BOOT + '[slots.4]\ndevice = "uart"\n')
    loaded = load(path)
    with pytest.raises(ConfigError, match="VM043"):
        build(loaded)


def test_required_files_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "demo.toml"
    path.write_text(BOOT)
    with pytest.raises(ConfigError, match="VM070"):
        load_graph(path, require_files=True)
    (tmp_path / "a.bin").write_bytes(b"\xf4")
    assert load_graph(path, require_files=True).device("board.pic")


def test_32_slots_of_8_functions_fit(make: Make) -> None:
    tables = [f'[slots."{slot}.{fn}"]\n{UART}' for slot in range(1, 31) for fn in range(8)]
    graph = make(BOOT + BRIDGES + "".join(tables))
    bars = sorted(node.bars[0].base for node in graph.devices if node.bars)
    assert bars == list(range(0xC000, 0xC000 + 8 * 240, 8))
    assert graph.device("slots.30.7").address == PciAddress(30, 7)  # type: ignore[union-attr]
