# SPDX-License-Identifier: BSD-2-Clause
"""What one seed decides in a lab."""

from __future__ import annotations

from pathlib import Path

from manager.graph.labs import load_lab
from manager.lab.seeds import LAST, reseeded, seeds

NODE = """
[cpu]
count = 2
schedule = { seed = 5 }
[memory]
size = "1M"
[boot]
image = "guest.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[slots.0]
device = "hostbridge"
[slots.3]
device = "virtio-net"
network = "near"
[slots.4]
device = "virtio-net"
network = "far"
[slots.31]
device = "lpc"
"""
LAB = """
[machines.one]
file = "node.toml"
[machines.two]
file = "node.toml"
set = { cpu.schedule.seed = 6 }
[machines.three]
file = "plain.toml"
[links.near]
loss = 0.1
[links.far]
loss = {loss}
"""


def lab_file(folder: Path, loss: str) -> Path:
    (folder / "node.toml").write_text(NODE)
    (folder / "plain.toml").write_text(NODE.replace("schedule = { seed = 5 }", ""))
    (folder / "guest.bin").write_bytes(b"\xf4")
    (folder / "lab.toml").write_text(LAB.replace("{loss}", loss))
    return folder / "lab.toml"


def test_the_settings_of_a_seed_give_the_lab_of_that_seed(tmp_path: Path) -> None:
    file = lab_file(tmp_path, "0.2")
    found = seeds(load_lab(file), 7)

    assert list(found) == [
        "links.far.seed",
        "links.near.seed",
        "machines.one.cpu.schedule.seed",
        "machines.two.cpu.schedule.seed",
    ]
    again = load_lab(file, [f"{key}={value}" for key, value in found.items()])
    assert again == reseeded(load_lab(file), 7)


def test_the_first_seed_is_the_one_that_is_tried_and_no_two_are_alike(tmp_path: Path) -> None:
    lab = load_lab(lab_file(tmp_path, "0.2"))

    for seed in (0, 1, LAST):
        found = list(seeds(lab, seed).values())
        assert found[0] == seed
        assert len(set(found)) == len(found)
        assert max(found) <= LAST


def test_a_link_that_loses_nothing_has_no_seed(tmp_path: Path) -> None:
    assert "links.far.seed" not in seeds(load_lab(lab_file(tmp_path, "0")), 7)
