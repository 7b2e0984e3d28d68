# SPDX-License-Identifier: BSD-2-Clause
"""A relative path in `--set` counts from the folder where the command was given, ever after."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from manager.cli.clients import connect
from manager.cli.graphs import of_running
from manager.cli.main import main
from manager.graph.nodes import Graph, ImageBoot
from manager.state.last_run import read_last_run
from manager.state.paths import MachinePaths
from manager.state.situation import look_existing

pytestmark = pytest.mark.usefixtures("no_cpu", "demo")

IMAGE = "boot.image=./x.bin"
PIPE = 'lpc.com1.backend={ type = "file", path = "out.txt" }'


@pytest.fixture
def folders(machine_file: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two folders, each with an image of its own; the first is where commands are given."""
    found = machine_file.parent / "here", machine_file.parent / "there"
    for folder in found:
        folder.mkdir()
        (folder / "x.bin").write_bytes(folder.name.encode())
    monkeypatch.chdir(found[0])
    return found


def running(name: str = "demo") -> Graph:
    with connect(look_existing(name)) as client:
        return of_running(client)


def image() -> Path:
    boot = running().boot
    assert isinstance(boot, ImageBoot)
    return boot.image.resolve()


@pytest.mark.parametrize(
    "again",
    [
        [["suspend", "demo"], ["resume", "demo", "-d"]],
        [["suspend", "demo"], ["up", "demo", "-d"]],
        [["down", "demo"], ["up", "demo", "-d"]],
        [["restart", "demo", "-d"]],
    ],
    ids=lambda commands: "-".join(command[0] for command in commands),
)
def test_it_is_the_same_file_wherever_the_machine_goes_on(
    folders, machine_file, monkeypatch, again: list[list[str]]
) -> None:
    here, there = folders
    assert main(["up", str(machine_file), "-d", "--set", IMAGE]) == 0
    assert image() == here / "x.bin"

    monkeypatch.chdir(there)
    for command in again:
        assert main(command) == 0

    assert image() == here / "x.bin"


def test_settings_of_two_commands_count_each_from_its_own_folder(
    folders, machine_file, monkeypatch
) -> None:
    here, there = folders
    main(["up", str(machine_file), "-d", "--set", IMAGE])
    monkeypatch.chdir(there)
    assert main(["restart", "demo", "-d", "--set", PIPE]) == 0
    monkeypatch.chdir("/")
    assert main(["restart", "demo", "-d"]) == 0

    assert image() == here / "x.bin"
    (port,) = running().serial_ports()
    assert getattr(port.backend, "path", None) == there / "out.txt"


def test_the_same_words_in_another_folder_mean_another_file(
    folders, machine_file, monkeypatch
) -> None:
    main(["up", str(machine_file), "-d", "--set", IMAGE])
    main(["down", "demo"])
    monkeypatch.chdir(folders[1])

    assert main(["up", str(machine_file), "-d", "--set", IMAGE]) == 0

    assert image() == folders[1] / "x.bin"


def test_a_clone_keeps_them(folders, machine_file, monkeypatch) -> None:
    main(["up", str(machine_file), "-d", "--set", IMAGE, "--set", "memory.size=8M"])
    main(["suspend", "demo"])
    monkeypatch.chdir("/")
    assert main(["snapshot", "clone", "demo:current", "other"]) == 0

    record = read_last_run(MachinePaths.of("other").last_run)

    assert record is not None
    assert [(str(one), one.folder) for one in record.given] == [
        (IMAGE, folders[0]),
        ("memory.size=8M", folders[0]),
        ("name=other", Path("/")),
    ]


def test_a_record_without_folders_is_read_as_before(folders, machine_file, demo) -> None:
    main(["up", str(machine_file), "-d", "--set", IMAGE])
    main(["down", "demo"])
    plain = json.loads(demo.last_run.read_text())
    assert plain["folders"] == [str(folders[0])]
    del plain["folders"]
    demo.last_run.write_text(json.dumps(plain))

    assert main(["up", "demo", "-d"]) == 0

    assert image() == folders[0] / "x.bin"
