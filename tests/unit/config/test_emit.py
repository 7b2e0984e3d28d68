# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr config`: the canonical text means the same machine, and says where values came from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tomli

from manager.cli.main import main
from manager.config.emit import origins_to_json, to_toml, with_origins
from manager.config.labs import is_lab
from manager.config.load import LoadedModel, load
from manager.config.schema import SECTIONS, MachineTable
from manager.graph.build import assemble
from manager.graph.identity import full_hash, identity_hash

ROOT = Path(__file__).parents[3]
FILES = sorted(
    path
    for folder in ("machines", "examples", "manager/config/templates")
    for path in (ROOT / folder).rglob("*.toml")
    if not is_lab(path)
)
_NOT_TOGETHER = {
    "initrd", "protocol", "image", "load", "entry", "bits", "firmware", "variables", "boot-order",
    "com2", "com4",
}  # fmt: skip
ALL_KEYS = """
schema = 1
name = "all"
allow = ["VM101", "VM107"]
[cpu]
model = "haswell"
count = 4
quantum = "20us"
schedule = { seed = 7, jitter = "5us", tear = false }
[memory]
size = "5000M"
[clock]
mode = "virtual"
epoch = 2001-02-03T04:05:06Z
[boot]
kernel = "a \\"quoted\\" ${v}"
modules = ["m 1", "n"]
cmdline = "$${not} \\u0007"
help = "h"
[vars]
v = "v$"
[disks.root]
folder = "tree"
format = "ext4"
size = "64M"
mode = "read-only"
on-full = "error"
[disks.cd]
image = "a.iso"
[shares.src]
folder = "tree"
mode = "overlay"
[slots.0]
device = "hostbridge"
[slots.1]
device = "ide"
primary-master = "root"
secondary-slave = { disk = "cd", type = "cdrom" }
[slots.4]
device = "uart"
pace = "baud"
backend = { type = "pipe", path = "link" }
[slots.4.1]
device = "uart"
legacy = "com2"
[slots.7]
device = "virtio-9p"
share = "src"
tag = "sources"
[slots.31]
device = "lpc"
[lpc.com1]
backend = { type = "tcp", connect = "[::1]:1" }
[lpc.com3]
backend = "pty"
[lpc.debug-exit]
port = 0x501
[ready]
port = "com1"
wait-for = '\\$ "x'
fail-on = "b"
timeout = "1.5s"
cache = true
[record]
enabled = false
rewind = "90s"
[gdb]
listen = "0.0.0.0:1234"
wait = true
allow-remote = true
[debug]
strict-io = true
trace = ["ports", "msr"]
trace-file = "t.log"
on-triple-fault = "reset"
on-reset = "stop"
[sandbox]
enabled = false
read = ["data"]
write = ["results"]
"""


def test_all_keys_are_all() -> None:
    """Whoever adds a table or a key must make sure that `config` prints it."""
    tables = tomli.loads(ALL_KEYS)
    assert MachineTable.model_fields.keys() - {"format"} <= tables.keys()
    for name, kind in SECTIONS.items():
        keys = {field.alias or key for key, field in kind.model_fields.items()}
        assert keys - tables[name].keys() <= _NOT_TOGETHER, name


@pytest.mark.parametrize("path", [*FILES, None], ids=lambda path: path.stem if path else "all-keys")
def test_canonical_text_loads_as_the_same_model(path: Path | None, tmp_path: Path) -> None:
    source = path.read_text().replace("@NAME@", "demo") if path else ALL_KEYS
    if path is not None:
        source = source.replace('extends = ["', f'extends = ["{path.parent}/')
        source = source.replace('device = "./', f'device = "{path.parent}/')
    original = tmp_path / "original.toml"
    original.write_text(source)
    first = load(original)
    again = tmp_path / "again.toml"
    again.write_text(to_toml(first.model))
    second = load(again)
    assert second.model == first.model
    assert to_toml(second.model) == to_toml(first.model)
    one, two = assemble(first), assemble(second)
    assert (identity_hash(one), full_hash(one)) == (identity_hash(two), full_hash(two))


def test_neither_comments_nor_order_nor_spelling_change_the_hashes(tmp_path: Path) -> None:
    one, two = tmp_path / "one" / "m.toml", tmp_path / "two" / "m.toml"
    for path in (one, two):
        path.parent.mkdir()
    one.write_text(
        '[memory]\nsize = "16M"\n[boot]\nimage = "i"\nload = 31744\nentry = 0x7c00\nbits = 16'
    )
    two.write_text(
        '# x\n[boot]\nbits=16\nentry=0x7C00\nload=0x7_c00\nimage="i"\n[memory]\nsize=16777216'
    )
    first, second = assemble(load(one)), assemble(load(two))
    assert (identity_hash(first), full_hash(first)) == (identity_hash(second), full_hash(second))


@pytest.fixture
def layered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadedModel:
    monkeypatch.chdir(tmp_path)
    Path("base").mkdir()
    Path("base/pc.toml").write_text('[memory]\nsize = "32M"\n\n[slots.0]\ndevice = "hostbridge"\n')
    Path("demo.toml").write_text('extends = ["base/pc.toml"]\n\n[boot]\nkernel = "k"\n')
    return load(Path("demo.toml"), ["cpu.model=kvm64"])


def test_every_value_says_where_it_came_from(layered: LoadedModel) -> None:
    lines = [line.split("  #") for line in with_origins(layered).splitlines() if "#" in line]
    origins = {text.strip(): origin.strip() for text, origin in lines}
    assert origins['size = "32M"'] == "base/pc.toml:2"
    assert origins["[slots.0]"] == "base/pc.toml:4"
    assert origins['device = "hostbridge"'] == "base/pc.toml:5"
    assert origins[f'kernel = "{Path.cwd()}/k"'] == "demo.toml:4"
    assert origins['model = "kvm64"'] == "--set cpu.model=kvm64"
    assert origins['mode = "paced"'] == "default"
    assert origins['name = "demo"'] == "default"


def test_text_with_origins_is_a_machine_file_too(layered: LoadedModel) -> None:
    Path("again.toml").write_text(with_origins(layered))
    assert load(Path("again.toml")).model == layered.model


def test_origins_as_json(layered: LoadedModel, capsys: pytest.CaptureFixture[str]) -> None:
    found = origins_to_json(layered)
    assert found["memory.size"] == {"value": '"32M"', "origin": "base/pc.toml:2"}
    assert found["name"] == {"value": '"demo"', "origin": "default"}
    assert main(["config", "demo.toml", "--origin", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["values"]["slots.0.device"]["origin"] == "base/pc.toml:5"
