# SPDX-License-Identifier: BSD-2-Clause
"""A machine file that was read before is not read again, unless anything about it has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.cli import remembered
from manager.cli.arguments import load

MACHINE = 'schema = 1\nextends = ["base.toml"]\n[memory]\nsize = "16M"\n'
BASE = '[boot]\nimage = "x.bin"\nload = 0x7c00\nentry = 0x7c00\nbits = 16\n[lpc.com1]\n'
BRIDGES = '[slots.0]\ndevice = "hostbridge"\n[slots.31]\ndevice = "lpc"\n'


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VMMGR_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "base.toml").write_text(BASE + BRIDGES)
    file = tmp_path / "machine.toml"
    file.write_text(MACHINE)
    return file


def test_graph_is_remembered(machine: Path) -> None:
    first = load(machine, remember=True)

    assert remembered.find(machine, ()) == first == load(machine, remember=True)


def test_other_settings_are_another_machine(machine: Path) -> None:
    load(machine, remember=True)

    assert remembered.find(machine, ("memory.size=32M",)) is None
    assert load(machine, ["memory.size=32M"], remember=True).memory_size == 32 << 20
    assert load(machine, remember=True).memory_size == 16 << 20


@pytest.mark.parametrize("written", ["extends = 'base.toml'", '"extends" = [ #\n"./base.toml"]'])
def test_base_counts_however_extends_is_written(machine: Path, written: str) -> None:
    machine.write_text(MACHINE.replace('extends = ["base.toml"]', written))
    graph = load(machine, remember=True)

    assert remembered.find(machine, ()) == graph
    base = machine.with_name("base.toml")
    base.write_text(base.read_text() + "[x-note]\n")
    assert remembered.find(machine, ()) is None


@pytest.mark.parametrize("changed", ["machine.toml", "base.toml"])
def test_changed_file_is_read_again(machine: Path, changed: str) -> None:
    load(machine, remember=True)
    file = machine.with_name(changed)

    file.write_text(file.read_text() + "[x-note]\n")

    assert remembered.find(machine, ()) is None


def test_file_with_a_warning_warns_every_time(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.write_text(MACHINE + '[slots.4]\ndevice = "uart"\nlegacy = "com2"\n')

    load(machine, remember=True)
    once = capsys.readouterr().err
    load(machine, remember=True)

    assert "warning" in once
    assert capsys.readouterr().err == once


def test_damaged_memory_is_forgotten(machine: Path) -> None:
    graph = load(machine, remember=True)
    (place,) = (machine.parent / "state" / ".graphs").iterdir()
    place.write_bytes(place.read_bytes()[:-3])

    assert remembered.find(machine, ()) is None
    assert load(machine, remember=True) == graph


def test_verbs_that_keep_no_state_remember_nothing(machine: Path) -> None:
    load(machine)

    assert not (machine.parent / "state").exists()
