# SPDX-License-Identifier: BSD-2-Clause
"""A verb that is given a machine file acts on that file's machine, or on none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from manager.cli.main import main
from manager.state.paths import MachinePaths
from manager.state.situation import look

pytestmark = pytest.mark.usefixtures("no_cpu")


@pytest.fixture
def two(demo, machine_file: Path) -> tuple[Path, Path]:
    """Two folders with a machine file `demo.toml` each."""
    for folder in ("a", "b"):
        (machine_file.parent / folder).mkdir()
        for name in ("demo.toml", "x.bin"):
            shutil.copy(machine_file.parent / name, machine_file.parent / folder / name)
    return machine_file.parent / "a/demo.toml", machine_file.parent / "b/demo.toml"


def state(name: str = "demo") -> str:
    return look(MachinePaths.of(name)).state


ACTING = ["status", "logs", "down", "suspend", "discard", "resume", "send", "events", "console"]


@pytest.mark.parametrize("verb", ACTING)
def test_a_verb_does_not_act_on_the_machine_of_another_file(two, capsys, verb: str) -> None:
    a, b = two
    main(["up", str(a), "-d"])
    capsys.readouterr()
    text = ["x"] if verb == "send" else []

    assert main([verb, str(b), *text]) == 3

    assert f"the name demo is that of {a}" in capsys.readouterr().err
    assert state() == "running"


@pytest.mark.parametrize("fresh", [[], ["--fresh", "-y"]])
def test_up_refuses_a_name_whose_machine_runs(two, capsys, fresh: list[str]) -> None:
    a, b = two
    main(["up", str(a), "-d"])
    capsys.readouterr()

    assert main(["up", str(b), "-d", *fresh]) == 4

    said = capsys.readouterr().err
    assert f"{b}: the name demo is taken by the machine of {a}, which is running" in said
    assert "--set name=" in said


@pytest.mark.parametrize("fresh", [[], ["--fresh", "-y"]])
def test_up_keeps_the_suspended_state_of_another_file(two, fresh: list[str]) -> None:
    a, b = two
    main(["up", str(a), "-d"])
    main(["suspend", "demo"])

    assert main(["up", str(b), "-d", *fresh]) == 4
    assert main(["discard", str(b)]) == 3
    assert main(["resume", str(b), "-d"]) == 3

    assert state() == "suspended"
    assert main(["resume", str(a), "-d"]) == 0


def test_another_name_is_the_way_out(two) -> None:
    a, b = two
    main(["up", str(a), "-d"])

    assert main(["up", str(b), "-d", "--set", "name=other"]) == 0
    assert (state(), state("other")) == ("running", "running")
    assert main(["down", str(b)]) == 0
    assert (state(), state("other")) == ("running", "stopped")


def test_a_machine_that_left_nothing_gives_its_name_up(two) -> None:
    a, b = two
    main(["up", str(a), "-d"])
    main(["down", str(a)])

    assert main(["up", str(b), "-d"]) == 0
    assert main(["down", str(a)]) == 3
    assert main(["down", str(b)]) == 0


def test_a_folder_may_move(two) -> None:
    a, _ = two
    main(["up", str(a), "-d"])
    main(["suspend", str(a)])
    moved = a.parent.rename(a.parent.with_name("moved")) / a.name

    assert main(["up", str(moved), "-d"]) == 0
    assert state() == "running"


def test_a_link_to_the_file_is_the_file(two) -> None:
    a, _ = two
    main(["up", str(a), "-d"])
    link = a.parent.with_name("link.toml")
    link.symlink_to(a)

    assert main(["up", str(link), "-d", "--set", "name=demo"]) == 0
    assert main(["down", str(link)]) == 0
    assert state() == "stopped"


def test_a_file_with_several_machines_means_the_one_of_its_name(two, capsys) -> None:
    a, _ = two
    main(["up", str(a), "-d"])
    main(["up", str(a), "-d", "--set", "name=other"])

    assert main(["down", str(a)]) == 0
    assert (state(), state("other")) == ("stopped", "running")
    main(["up", str(a), "-d", "--set", "name=third"])
    a.write_text(a.read_text().replace("schema = 1\n", 'schema = 1\nname = "new"\n'))
    capsys.readouterr()
    assert main(["down", str(a)]) == 2
    assert "demo, other, third" in capsys.readouterr().err
    assert main(["down", "other", "third"]) == 0


@pytest.mark.parametrize("verb", ["status", "down", "up", "rm"])
def test_a_machine_file_that_is_a_link_to_itself_is_a_wrong_command_line(two, verb: str) -> None:
    a, b = two
    main(["up", str(a), "-d"])
    b.unlink()
    b.symlink_to(b.name)

    assert main([verb, str(b)]) == 2


def test_a_state_that_is_a_link_to_itself_is_told_of_and_can_be_removed(two, demo, capsys) -> None:
    a, _ = two
    main(["up", str(a), "-d"])
    main(["suspend", "demo"])
    current = demo.snapshots / "current"
    current.unlink()
    current.symlink_to("current")
    capsys.readouterr()

    assert main(["status", "demo"]) == 0
    assert main(["resume", "demo", "-d"]) == 7
    assert main(["rm", "--force", "demo"]) == 0

    assert not demo.directory.exists()
