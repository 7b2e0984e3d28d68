# SPDX-License-Identifier: BSD-2-Clause
"""What counts as the same machine, how differences are told, and the stored form of a graph."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manager.graph.build import load_graph
from manager.graph.identity import (
    differences,
    from_plain,
    full_hash,
    identity,
    identity_hash,
    to_plain,
)
from manager.graph.nodes import Graph
from manager.graph.plain import GraphFormatError

TEXT = """
[vars]
file = "com2.log"
[memory]
size = "256M"
[boot]
kernel = "vmlinuz"
initrd = "initrd.img"
cmdline = "console=ttyS0"
modules = ["m.img a"]
[slots.0]
device = "hostbridge"
[slots.4]
device = "uart"
backend = "pty"
[slots.31]
device = "lpc"
[lpc.com1]
backend = "stdio"
[lpc.com2]
backend = { type = "file", path = "${file}" }
[ready]
wait-for = "/ # $"
"""
Make = Callable[..., Graph]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make(*overrides: str, text: str = TEXT) -> Graph:
        path = tmp_path / "demo.toml"
        path.write_text(text)
        return load_graph(path, overrides)

    return make


def lines(saved: Graph, current: Graph) -> list[str]:
    return [str(item) for item in differences(identity(saved), identity(current))]


@pytest.mark.parametrize(
    "override",
    [
        "name=other",
        "file=elsewhere.log",
        "slots.4.backend=null",
        "lpc.com1.backend=pty",
        "clock.mode=virtual",
        "ready.wait-for=x",
        "boot.kernel=another",
        'boot.modules=["sub/m.img a"]',
    ],
)
def test_wiring_is_no_part_of_the_identity(make: Make, override: str) -> None:
    one, two = make(), make(override)
    assert identity_hash(one) == identity_hash(two)
    assert full_hash(one) != full_hash(two)
    assert lines(one, two) == []


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("memory.size=512M", "memory.size: 256 MiB in the snapshot, 512 MiB in the machine file"),
        ("cpu.model=kvm64", "cpu.model: qemu64 in the snapshot, kvm64 in the machine file"),
        (
            "boot.cmdline=quiet",
            'boot.cmdline: "console=ttyS0" in the snapshot, "quiet" in the machine file',
        ),
        (
            "clock.epoch=2024-01-01T00:00:01Z",
            "clock.epoch: 1704067200 in the snapshot, 1704067201 in the machine file",
        ),
        ('boot.modules=["m.img b"]', None),
        ("slots.5.device=uart", "slots.5 (uart): only in the machine file"),
        ("lpc.com3.backend=null", "lpc.com3 (uart): only in the machine file"),
        ("lpc.debug-exit.port=0xf4", "lpc.debug-exit (debug-exit): only in the machine file"),
    ],
)
def test_what_the_guest_sees_is_the_identity(make: Make, override: str, line: str | None) -> None:
    one, two = make(), make(override)
    assert identity_hash(one) != identity_hash(two)
    found = lines(one, two)
    assert len(found) == 1
    assert found[0] == (line or found[0])


def test_device_that_is_gone_is_named(make: Make) -> None:
    assert lines(make("slots.5.device=uart"), make()) == ["slots.5 (uart): only in the snapshot"]


def test_device_that_moved_is_one_difference(make: Make) -> None:
    found = lines(make(), make(text=TEXT.replace("slots.4", "slots.5")))
    assert found == ["slots.4 (uart) moved to slots.5"]


def test_com_port_that_moved_is_one_difference(make: Make) -> None:
    found = lines(make(), make(text=TEXT.replace("lpc.com2", "lpc.com4")))
    assert found == ["lpc.com2 (uart) moved to lpc.com4"]


def test_slot_with_another_device_is_one_difference(make: Make) -> None:
    one, two = identity(make()), identity(make())
    two["devices"]["slots.4"] = {"type": "lpc"}  # type: ignore[call-overload,index]
    assert [str(item) for item in differences(one, two)] == [
        "slots.4: pci-uart in the snapshot, lpc in the machine file"
    ]


def test_legacy_port_shows_in_numbers_of_its_kind(make: Make) -> None:
    text = TEXT.replace("[lpc.com1]", "[lpc.com4]")
    changed = lines(make(text=text), make("slots.4.legacy=com1", text=text))
    assert changed == [
        "slots.4.irq: 10 in the snapshot, 4 in the machine file",
        "slots.4.pirq: 0 in the snapshot, nothing in the machine file",
        "slots.4.bars: 0xc000-0xc007 in the snapshot, 0x3f8-0x3ff in the machine file",
        "slots.4.properties: nothing in the snapshot, "
        "legacy com1, fixed_irq yes in the machine file",
    ]


def test_sides_can_have_other_names(make: Make) -> None:
    (item,) = differences(identity(make()), identity(make("memory.size=1M")))
    assert item.render("a.toml", "b.toml") == "memory.size: 256 MiB in a.toml, 1 MiB in b.toml"


def test_hashes_do_not_depend_on_where_the_project_lies(make: Make, tmp_path: Path) -> None:
    make(text=TEXT + '[disks.root]\nimage = "root.img"\n')
    one = load_graph(tmp_path / "demo.toml", ["memory.size=64M"])
    other = tmp_path / "else where"
    other.mkdir()
    shutil.copy(tmp_path / "demo.toml", other)
    two = load_graph(other / "demo.toml", ["memory.size=64M"])
    assert (identity_hash(one), full_hash(one)) == (identity_hash(two), full_hash(two))


def test_identity_hash_is_the_same_in_every_version(make: Make) -> None:
    """A change here makes every snapshot taken so far refuse its machine file."""
    assert (
        identity_hash(make()) == "dad8487c4d65ec207fba2630d3e67e4145bcde1ff525858aea606411b7ad195e"
    )


@pytest.mark.parametrize(
    "text",
    [TEXT, '[boot]\nfirmware = "r"', '[boot]\nimage = "i"\nload = 0\nentry = 0\nbits = 64'],
)
def test_plain_form_is_lossless_and_survives_json(make: Make, text: str) -> None:
    graph = make(text=text)
    again = from_plain(json.loads(json.dumps(to_plain(graph))))
    assert again == graph
    assert full_hash(again) == full_hash(graph)


def spoil(plain: Any, path: tuple[Any, ...], value: Any) -> Any:
    *way, last = path
    inner = plain
    for key in way:
        inner = inner[key]
    if value is None and isinstance(inner, dict):
        del inner[last]
    else:
        inner[last] = value
    return plain


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (("memory_size",), "256M", "graph.memory_size: expected int"),
        (("memory_size",), True, "graph.memory_size: expected int"),
        (("memory_size",), None, "graph: field memory_size is missing"),
        (("colour",), "red", "graph: field colour is unknown"),
        (("clock_mode",), "fast", "graph.clock_mode: 'fast' is not one of"),
        (("boot",), {}, "graph.boot: none of the things"),
        (("boot", "bits"), 16, "graph.boot: field bits is unknown"),
        (("devices",), {}, "graph.devices: expected a list"),
        (("devices", 3), 7, r"graph.devices\[3\]: expected named fields"),
        (("devices", 10, "bars", 0, "base"), "x", r"graph.devices\[10\].bars\[0\].base"),
        (("devices", 10, "properties"), [1], r"devices\[10\].properties: expected named"),
        (("devices", 10, "properties"), {"a": 1}, r"devices\[10\].properties: field a is unknown"),
        (("devices", 10, "properties"), {"pace": 1.5}, r"devices\[10\].properties.pace: expected"),
        (("devices", 10, "backend"), {"type": "tcp"}, r"devices\[10\].backend: no backend"),
    ],
)
def test_wrong_plain_form_is_refused_by_name(
    make: Make, path: tuple[Any, ...], value: Any, where: str
) -> None:
    plain = spoil(to_plain(make()), path, value)
    with pytest.raises(GraphFormatError, match=where):
        from_plain(plain)
