# SPDX-License-Identifier: BSD-2-Clause
"""TAB offers what could come next."""

from __future__ import annotations

import subprocess

import pytest

from manager.cli.main import VERBS, main
from manager.cli.verbs.completion import FILES, SCRIPTS, complete
from manager.state.last_run import LastRun, write_last_run
from manager.state.paths import MachinePaths


@pytest.fixture
def machines(tmp_path, monkeypatch):
    monkeypatch.setenv("VMMGR_STATE_HOME", str(tmp_path))
    for name in ("alpha", "beta"):
        paths = MachinePaths.of(name)
        paths.make()
        ports = {"lpc.com1": "stdio", "slots.4": "pty"}
        write_last_run(paths.last_run, LastRun(name, f"/{name}.toml", ports=ports))


def test_verbs(machines) -> None:
    assert complete(["su"]) == ["suspend"]
    assert set(VERBS) <= set(complete([""]))


def test_machine_names_and_files(machines) -> None:
    assert complete(["console", ""]) == ["alpha", "beta", FILES]
    assert complete(["up", "a"]) == ["alpha", FILES]
    assert complete(["suspend", "alpha", "b"]) == ["beta", FILES]


def test_ports_of_the_machine_that_was_named(machines) -> None:
    assert complete(["console", "alpha", ""]) == ["com1", "4"]
    assert complete(["logs", "alpha", "--port", "c"]) == ["com1"]


def test_options_and_choices(machines) -> None:
    assert complete(["up", "--fr"]) == ["--fresh"]
    assert complete(["wait", "alpha", "sus"]) == ["suspended"]
    assert complete(["up", "x.toml", "--on-term", ""]) == ["down", "suspend"]
    assert complete(["validate", ""]) == [FILES]


def test_verbs_of_a_verb(machines) -> None:
    assert "verify" in complete(["snapshot", "ver"])


def test_nonsense_offers_nothing(machines) -> None:
    assert complete(["nonsense", ""]) == []
    assert complete(["console", "nosuch", ""]) == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_can_be_completed(machines, verb) -> None:
    assert "--help" in complete([verb, "--h"])


@pytest.mark.parametrize("shell", SCRIPTS)
def test_every_shell_has_a_script(shell, capsys) -> None:
    assert main(["completion", shell]) == 0
    assert "vmmgr completion words" in capsys.readouterr().out


def test_bash_asks_for_the_words_typed_so_far() -> None:
    ask = 'vmmgr() { printf "%s\\n" "${@:3}"; }\n'
    typed = "COMP_WORDS=(vmmgr console 'a b' '')\nCOMP_CWORD=3\n_vmmgr\n"
    show = 'printf "<%s>" "${COMPREPLY[@]}"'

    shown = subprocess.run(
        ["bash", "-c", ask + SCRIPTS["bash"] + typed + show],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert shown.stdout == "<--><console><a b><>"
