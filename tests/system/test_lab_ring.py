# SPDX-License-Identifier: BSD-2-Clause
"""Labs whose guests drive network cards: a new one, and ten machines in a ring."""

from __future__ import annotations

import json
import os
from pathlib import Path

from support.assembler import assemble
from support.ne2k_guests import first_station, station
from support.small_lab import LOAD, until
from support.vmmgr import Vmmgr

COUNT = 10
ROUNDS = 100 if os.environ.get("VMMGR_THOROUGH") == "1" else 20
MACHINE = """\
schema = 1
[vars]
from = "l0"
to = "l1"
[memory]
size = "1M"
[clock]
mode = "virtual"
[boot]
image = "station.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[slots.0]
device = "hostbridge"
[slots.3]
device = "ne2k"
network = "${from}"
[slots.4]
device = "ne2k"
network = "${to}"
[slots.31]
device = "lpc"
[lpc.com1]
"""


def ring(folder: Path) -> Path:
    (folder / "station.bin").write_bytes(assemble(station(), LOAD, 16))
    (folder / "first.bin").write_bytes(assemble(first_station(COUNT * ROUNDS), LOAD, 16))
    (folder / "station.toml").write_text(MACHINE)
    text = "schema = 1\n"
    for number in range(COUNT):
        sets = [f"""from = "l{number}", to = "l{(number + 1) % COUNT}\""""]
        if number == 0:
            sets.append('boot.image = "first.bin"')
        text += f"""[machines.m{number}]\nfile = "station.toml"\n"""
        text += f"""set = {{ {", ".join(sets)} }}\n"""
        text += f"""[links.l{number}]\nlatency = "50us"\ncapture = "l{number}.pcap"\n"""
    (folder / "ring.toml").write_text(text)
    return folder / "ring.toml"


def captures(folder: Path) -> list[bytes]:
    return [(folder / f"l{number}.pcap").read_bytes() for number in range(COUNT)]


def test_ten_machines_pass_a_token_round_and_a_suspend_changes_no_frame(
    vmmgr: Vmmgr, tmp_path: Path
) -> None:
    file = ring(tmp_path)
    vmmgr("up", file, "-d")
    assert until(vmmgr, "ring/m0", "!") == "." * ROUNDS + "!"
    links = json.loads(vmmgr("status", "ring", "--json").stdout)["links"]
    assert [sum(card["sent"] for card in link["cards"]) for link in links] == [ROUNDS] * COUNT
    vmmgr("down", "ring")
    undisturbed = captures(tmp_path)
    vmmgr("rm", "ring", "--force")

    vmmgr("up", file, "-d")
    vmmgr("suspend", "ring")
    vmmgr("resume", "ring", "-d")
    until(vmmgr, "ring/m0", "!")
    vmmgr("down", "ring")

    assert captures(tmp_path) == undisturbed


def test_the_machines_of_a_new_lab_greet_each_other(vmmgr: Vmmgr, tmp_path: Path) -> None:
    vmmgr("new", tmp_path / "pair", "--lab")
    vmmgr("up", tmp_path / "pair.toml")

    assert vmmgr("logs", "pair/one").stdout == "Hello from two\n"
    assert vmmgr("logs", "pair/two").stdout == "Hello from one\n"
