# SPDX-License-Identifier: BSD-2-Clause
"""What the guest can see of newer keys, and where memory lies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from manager.bus.memory import layout
from manager.config.diagnostics import ConfigError
from manager.devices import host
from manager.graph.build import load_graph
from manager.graph.identity import from_plain, identity, identity_hash, to_plain
from manager.graph.memory_map import is_ram, memory_map, ram
from manager.graph.nodes import Debug, Graph

TEXT = """
[boot]
kernel = "k"
[slots.0]
device = "hostbridge"
[slots.4]
device = "uart"
[slots.31]
device = "lpc"
[lpc.com1]
"""
Make = Callable[..., Graph]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.chdir(tmp_path)

    def make(*overrides: str, text: str = TEXT) -> Graph:
        path = tmp_path / "demo.toml"
        path.write_text(text)
        return load_graph(path, overrides)

    return make


@pytest.mark.parametrize("port", ["slots.4", "lpc.com1"])
def test_pace_is_a_fact_only_when_it_is_the_divisors(make: Make, port: str) -> None:
    plain, host = make(), make(f"{port}.pace=host")
    baud = make(f"{port}.pace=baud")
    assert plain == host
    node = baud.device(port)
    assert node is not None
    assert node.properties == {"pace": "baud"}
    assert identity_hash(baud) != identity_hash(plain)


def test_debugging_is_the_hosts_business_but_for_strict_ports(make: Make, tmp_path: Path) -> None:
    plain = make()
    traced = make('debug.trace=["irq", "pci"]', "debug.trace-file=t.log")
    strict = make("debug.strict-io=true")
    assert traced.debug == Debug(False, ("irq", "pci"), tmp_path / "t.log")
    assert identity_hash(traced) == identity_hash(plain)
    assert "debug" not in identity(plain)
    assert identity_hash(strict) != identity_hash(plain)


def test_a_pipe_is_a_backend_with_a_path(make: Make, tmp_path: Path) -> None:
    cable = '{ type = "pipe", path = "link" }'
    graph = make(f"lpc.com1.backend={cable}", f"slots.4.backend={cable}")
    ends = [node.backend for node in graph.serial_ports()]
    assert ends == [host.Pipe(tmp_path / "link")] * 2


def test_graph_of_an_older_version_gets_defaults(make: Make) -> None:
    graph = make()
    plain = to_plain(graph)
    del plain["debug"]
    for node in plain["devices"]:  # type: ignore[union-attr]
        if not node["memory"]:  # type: ignore[index, call-overload]
            del node["memory"]  # type: ignore[arg-type, union-attr]
    assert from_plain(plain) == graph


@pytest.mark.parametrize("size", [1 << 20, 256 << 20, 3 << 30, (3 << 30) + 4096, 64 << 30])
def test_ram_lies_where_the_machine_maps_it(size: int) -> None:
    assert [(region.base, region.length) for region in ram(size)] == layout(size)


def test_there_is_none_in_the_vga_window_nor_below_4_gib(make: Make) -> None:
    size = 4 << 30
    assert [is_ram(size, address) for address in (0x9FFFF, 0xA0000, 0xBFFFF, 0xC0000)] == [
        True, False, False, True,
    ]  # fmt: skip
    assert [is_ram(size, address) for address in ((3 << 30) - 1, 3 << 30, 4 << 30, 5 << 30)] == [
        True, False, True, False,
    ]  # fmt: skip
    assert make("memory.size=64G").memory_size == 64 << 30
    with pytest.raises(ConfigError, match="from 1 MiB to 64 GiB"):
        make("memory.size=65G")


def test_map_has_rom_and_registers(make: Make, tmp_path: Path) -> None:
    rom = tmp_path / "rom.bin"
    rom.write_bytes(bytes(65536))
    graph = make(text=TEXT.replace('kernel = "k"', 'firmware = "rom.bin"'))
    last = memory_map(graph)[-1]
    assert (last.base, last.end, last.kind, last.owner) == (0xFFFF0000, 1 << 32, "ROM", str(rom))
    owners = {region.owner: region.base for region in memory_map(graph) if region.owner}
    assert (owners["board.ioapic"], owners["board.lapic"]) == (0xFEC00000, 0xFEE00000)
    rom.unlink()
    assert "ROM" not in {region.kind for region in memory_map(graph)}


def test_image_may_lie_above_4_gib_but_not_in_the_hole(make: Make) -> None:
    image = TEXT.replace('kernel = "k"', 'image = "i"\nload = {0}\nentry = {0}\nbits = 64')
    memory = '[memory]\nsize = "4G"\n'
    graph = make(text=memory + image.replace("{0}", "0x100000000"))
    assert graph.boot.load == 0x1_0000_0000  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="0xc0000000, where the machine has no memory"):
        make(text=memory + image.replace("{0}", "0xc0000000"))
