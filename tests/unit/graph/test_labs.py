# SPDX-License-Identifier: BSD-2-Clause
"""From a lab file to the machines and wires of a lab."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from manager.config.diagnostics import ConfigError
from manager.config.labs import is_lab
from manager.devices.nic import NicNode, address_for
from manager.graph.identity import identity_hash, lab_identity_hash
from manager.graph.lab import LONGEST_QUANTUM, LOSS_UNIT, CableSpec, End, Lab, LinkSpec, quantum
from manager.graph.labs import load_lab

NODE = """
[vars]
link = "lan"
[boot]
kernel = "vmlinuz"
[slots.0]
device = "hostbridge"
[slots.6]
device = "virtio-net"
network = "${link}"
[slots.7]
device = "uart"
[slots.31]
device = "lpc"
[lpc.com1]
"""
LAB = """
[machines.server]
file = "node.toml"
[machines.client]
file = "node.toml"
set = { "memory.size" = "32M" }
[links.lan]
latency = "1ms"
bandwidth = "2.5M"
loss = 0.01
seed = 3
capture = "lan.pcap"
[cables.serial]
ends = ["server.com1", "client.slots.7"]
latency = "20us"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "node.toml").write_text(NODE)
    return tmp_path


def load(folder: Path, text: str = LAB, *settings: str) -> Lab:
    (folder / "lab.toml").write_text(text)
    return load_lab(folder / "lab.toml", settings)


def test_a_lab_is_what_its_file_says(folder: Path) -> None:
    lab = load(folder)

    assert (lab.name, lab.source) == ("lab", folder / "lab.toml")
    assert [(name, graph.name) for name, graph in lab.members.items()] == [
        ("client", "lab/client"),
        ("server", "lab/server"),
    ]
    assert lab.members["client"].memory_size == 32 << 20
    client, server = End("client", "slots.6"), End("server", "slots.6")
    assert lab.links == {
        "lan": LinkSpec(
            "lan", (client, server), 10**6, 2_500_000, LOSS_UNIT // 100, 3, folder / "lan.pcap"
        )
    }
    ends = (End("server", "lpc.com1"), End("client", "slots.7"))
    assert lab.cables == {"serial": CableSpec("serial", ends, 20_000)}
    assert quantum(lab) == 20_000


def test_cards_have_addresses_by_the_names_of_their_machines(folder: Path) -> None:
    cards = [graph.device("slots.6") for graph in load(folder).members.values()]
    assert [card.mac for card in cards if isinstance(card, NicNode)] == [
        address_for("client", "slots.6"),
        address_for("server", "slots.6"),
    ]


def test_settings_go_to_the_machine_that_they_name(folder: Path) -> None:
    lab = load(
        folder,
        LAB,
        "machines.server.memory.size=1G",
        'machines.client.slots."7".pace=baud',
        "links.lan.latency=5ms",
        "machines.client.set.link=wan",
        "links.wan.seed=9",
    )
    assert lab.members["server"].memory_size == 1 << 30
    uart = lab.members["client"].device("slots.7")
    assert uart is not None
    assert uart.properties["pace"] == "baud"
    assert lab.links["lan"].latency == 5_000_000
    assert lab.links["wan"].ends == (End("client", "slots.6"),)


def test_what_is_set_may_be_written_as_tables(folder: Path) -> None:
    table = LAB.replace('{ "memory.size" = "32M" }', '{ memory.size = "32M", cpu.count = 2 }')
    lab = load(
        folder, f'{table}[machines.third]\nfile = "node.toml"\n[machines.third.set]\nlink = "lan"'
    )
    assert lab.members["client"].memory_size == 32 << 20
    assert lab.members["client"].cpu_count == 2
    with pytest.raises(ConfigError, match="`size` is neither text nor a number"):
        load(folder, LAB.replace('"32M"', "1.5").replace('"memory.size"', "memory.size"))


def test_identity_is_of_machines_and_wires_and_not_of_the_host(folder: Path) -> None:
    lab = load(folder)
    known = lab_identity_hash(lab)
    other = "[x-mine]\na = 1\n" + LAB.replace("lan.pcap", "other.pcap")
    assert lab_identity_hash(load(folder, other)) == known
    assert lab_identity_hash(load(folder, LAB + "[x-mine]\n", "name=other")) == known
    for setting in (
        "links.lan.seed=4",
        "links.lan.loss=0.02",
        "cables.serial.baud=9600",
        "machines.server.memory.size=1G",
    ):
        assert lab_identity_hash(load(folder, LAB, setting)) != known
    alone = replace(lab.members["server"], name="alone")
    assert identity_hash(alone) == identity_hash(lab.members["server"])


def test_a_lab_without_wires_has_a_quantum_all_the_same(folder: Path) -> None:
    lab = load(folder)
    assert quantum(replace(lab, links={}, cables={})) == LONGEST_QUANTUM


def test_a_lab_is_known_by_its_machines(folder: Path) -> None:
    load(folder)
    (folder / "torn.toml").write_text("[machines.")
    names = ("lab.toml", "node.toml", "torn.toml", "no-such.toml")
    assert [is_lab(folder / name) for name in names] == [True, False, False, False]


def test_more_cards_than_a_link_has_room_for(folder: Path) -> None:
    machines = "".join(f'[machines.m{n}]\nfile = "node.toml"\n' for n in range(65))
    with pytest.raises(ConfigError, match="65 cards are on `lan`"):
        load(folder, f"{machines}[links.lan]\n")
