# SPDX-License-Identifier: BSD-2-Clause
"""`plan`, `graph`, `config`, `validate` and `schema` with a lab file."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from manager.cli.main import main
from manager.config.emit import to_toml
from manager.config.labs import inspect_lab
from manager.graph.labs import load_lab

NODE = """
[boot]
image = "guest.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[slots.0]
device = "hostbridge"
[slots.6]
device = "virtio-net"
network = "lan"
[slots.31]
device = "lpc"
[lpc.com1]
"""
LAB = """
allow = ["VM091"]
[machines.client]
file = "node.toml"
[machines.server]
file = "node.toml"
set = { "memory.size" = "32M" }
[links.lan]
latency = "1.5ms"
bandwidth = "100M"
loss = 0.01
capture = "lan.pcap"
[links.spare]
[cables.serial]
ends = ["client.com1", "server.com1"]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("node.toml").write_text(NODE)
    Path("guest.bin").write_bytes(b"\xf4")
    Path("lab.toml").write_text(LAB)


def test_plan_shows_machines_and_wires(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "lab.toml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["lab       lab (lab.toml)", "clock     paced", "quantum   100us"]
    assert [line.split()[:4] for line in lines if "node.toml" in line] == [
        ["client", "node.toml", "qemu64", "64"],
        ["server", "node.toml", "qemu64", "32"],
    ]
    assert ["lan", "1500us", "100M", "0.01", "1", "lan.pcap"] in [line.split() for line in lines]
    assert sum(line.endswith("lan") and "/slots.6" in line for line in lines) == 2


def test_plan_as_json_has_what_programs_need(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "lab.toml", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["quantum"] == 100_000
    assert plan["machines"].keys() == {"client", "server"}
    assert plan["machines"]["server"]["graph"]["memory_size"] == 32 << 20
    assert plan["links"]["lan"]["loss"] == 0.01
    assert [card["card"] for card in plan["links"]["lan"]["cards"]] == [
        "client/slots.6",
        "server/slots.6",
    ]
    assert plan["cables"]["serial"]["ends"] == ["client/lpc.com1", "server/lpc.com1"]


def test_graph_draws_machines_and_wires(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "lab.toml"]) == 0
    assert capsys.readouterr().out == (
        "lab\n"
        "├── link lan  1500us, 100Mbit/s, loss 0.01\n"
        "│   ├── client slots.6  qemu64, 64 MiB\n"
        "│   └── server slots.6  qemu64, 32 MiB\n"
        "├── link spare  100us, 1Gbit/s\n"
        "└── cable serial  100us, 1000000 baud\n"
        "    ├── client com1  qemu64, 64 MiB\n"
        "    └── server com1  qemu64, 32 MiB\n"
    )
    assert main(["graph", "lab.toml", "--format", "mermaid"]) == 0
    assert "    n_m_client -- slots.6 --- n_link_lan\n" in capsys.readouterr().out
    assert main(["graph", "lab.toml", "--format", "dot"]) == 0
    picture = capsys.readouterr().out
    assert '"machine client" -- "link lan" [label="slots.6"];' in picture
    if shutil.which("dot"):
        subprocess.run(["dot", "-Tsvg"], input=picture, text=True, check=True, capture_output=True)


def test_canonical_text_is_the_same_lab() -> None:
    first = inspect_lab(Path("lab.toml")).loaded
    assert first is not None
    Path("other").mkdir()
    Path("other/lab.toml").write_text(to_toml(first.model))
    second = inspect_lab(Path("other/lab.toml")).loaded
    assert second is not None
    assert second.model == first.model
    assert load_lab(Path("other/lab.toml")).links == load_lab(Path("lab.toml")).links


def test_config_tells_identity_and_origins(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "lab.toml", "--hash"]) == 0
    digest = capsys.readouterr().out.split()
    assert main(["config", "lab.toml", "--json"]) == 0
    assert [*json.loads(capsys.readouterr().out).items()][-1] == tuple(digest)
    assert main(["config", "lab.toml", "--origin", "--set", "links.lan.seed=5"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "seed = 5 # --set links.lan.seed=5" in lines
    assert "loss = 0.01 # lab.toml:11" in lines


def test_schema_of_labs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--lab"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "vmmgr lab file"


def test_what_is_for_machines_alone_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "lab.toml", "--to", "qemu"]) == 2
    assert "VM035" in capsys.readouterr().err


def test_a_lab_is_held_to_its_lock_file(capsys: pytest.CaptureFixture[str]) -> None:
    locked = ["validate", "--locked", "lab.toml"]
    assert main(locked) == 2
    assert "VM081" in capsys.readouterr().out
    assert main(["plan", "--lock", "lab.toml"]) == 0
    assert main(["plan", "--lock", "lab.toml"]) == 0
    assert capsys.readouterr().out == "lab.lock: written\nlab.lock: up to date\n"
    assert main(locked) == 0

    capsys.readouterr()
    changed = ["--set", "links.lan.latency=2ms", "--set", "machines.server.memory.size=64M"]
    assert main([*locked, *changed]) == 2
    out = capsys.readouterr().out
    assert out.count("VM080") == 2
    assert "links.lan.latency" in out
    assert "server: memory.size" in out
    assert "--set:1" in out


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"schema": 1}',
        '{"schema": 1, "machines": {"client": {}}, "wires": {}}',
        '{"schema": 1, "machines": {}, "wires": {"links": {"lan": 5}}}',
    ],
)
def test_a_damaged_lock_file_is_told(content: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("lab.lock").write_text(content)
    assert main(["validate", "--locked", "lab.toml"]) == 2
    assert "VM081" in capsys.readouterr().out


def test_validate_tells_of_a_machine_s_kernel_too(capsys: pytest.CaptureFixture[str]) -> None:
    Path("guest.bin").write_bytes(bytes(1 << 20))
    assert main(["validate", "lab.toml", "node.toml", "--json"]) == 2
    files = json.loads(capsys.readouterr().out)["files"]
    assert [[item["code"] for item in file["diagnostics"]] for file in files] == [["VM073"]] * 2


def test_diff_of_two_labs_names_wires_and_machines(capsys: pytest.CaptureFixture[str]) -> None:
    other = LAB.replace("server", "third").replace("lan.pcap", "other.pcap")
    Path("other.toml").write_text(other.replace("1.5ms", "2ms"))
    Path("big.toml").write_text('name = "lab"\n' + LAB.replace('"32M"', '"48M"'))

    assert main(["diff", "lab.toml", "lab.toml"]) == 0
    assert capsys.readouterr().out == "no difference\n"
    assert main(["diff", "lab.toml", "big.toml"]) == 1
    assert "  ~ server: memory.size: 32 MiB -> 48 MiB\n" in capsys.readouterr().out
    assert main(["diff", "lab.toml", "other.toml"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "  ~ links.lan.latency: 1500us -> 2ms" in lines
    assert "  - machines.server" in lines
    assert "  + machines.third" in lines
    assert any("links.lan.capture" in line for line in lines)


def test_diff_of_a_lab_and_a_machine_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "node.toml", "lab.toml"]) == 2
    assert "lab.toml is a lab, and the other is none" in capsys.readouterr().err
