# SPDX-License-Identifier: BSD-2-Clause
"""Variables in strings and in each other, and those of the environment."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from manager.cli import remembered
from manager.cli.arguments import load as load_graph
from manager.config.diagnostics import ConfigError
from manager.config.load import inspect, load
from manager.graph.build import check
from manager.graph.identity import full_hash, identity_hash

PC = """schema = 1
[memory]
size = "16M"
[boot]
image = "x.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[slots.0]
device = "hostbridge"
[slots.31]
device = "lpc"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "demo.toml"


def listen(file: Path, text: str, variables: str = "", settings: tuple[str, ...] = ()) -> str:
    """What a path with `text` in it is in the end."""
    backend = f'[lpc.com1]\nbackend = {{ type = "unix", listen = "{text}" }}\n'
    file.write_text(f"{PC}{backend}[vars]\n{variables}")
    return str(load(file, settings).model.lpc["com1"].backend.listen)


def codes(file: Path, variables: str) -> list[str]:
    file.write_text(f'{PC}[lpc.com1]\nbackend = "${{a}}"\n[vars]\n{variables}')
    return [problem.code for problem in inspect(file).diagnostics]


def test_the_environment_stands_in_strings(file, monkeypatch) -> None:
    monkeypatch.setenv("PLACE", "/run/there")

    assert listen(file, "${env:PLACE}/com1") == "/run/there/com1"


def test_variables_stand_in_variables_in_any_order(file, monkeypatch) -> None:
    monkeypatch.setenv("PLACE", "/run")
    variables = 'socket = "${folder}/${name}"\nfolder = "${env:PLACE}/vm"\nname = "com1"\n'

    assert listen(file, "${socket}", variables) == "/run/vm/com1"
    assert listen(file, "${socket}", variables, ("name=other",)) == "/run/vm/other"
    assert listen(file, "${socket}", variables, ("folder=${env:PLACE}",)) == "/run/com1"


def test_what_the_environment_holds_is_not_looked_into(file, monkeypatch) -> None:
    monkeypatch.setenv("PLACE", "/run/${name}")

    assert listen(file, "${env:PLACE}", "") == "/run/${name}"


def test_two_dollars_are_the_characters_themselves(file) -> None:
    assert listen(file, "/$${env:HOME}") == "/${env:HOME}"
    assert listen(file, "${a}", 'a = "/$${b}"') == "/${b}"


def test_a_variable_that_another_one_uses_is_used(file) -> None:
    variables = 'a = "${b}"\nb = "null"\n'

    assert codes(file, variables) == []


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ('a = "${a}"', "VM009"),
        ('a = "null"\nb = "${c}"\nc = "${b}"', "VM009"),
        ('a = "${b}"', "VM006"),
        ('a = "${env:NO_SUCH_VARIABLE_OF_THE_ENVIRONMENT}"', "VM006"),
        ('a = "${env:1}"', "VM007"),
    ],
)
def test_faults_in_variables_are_found_used_or_not(file, variables, code) -> None:
    assert code in codes(file, variables)


def test_a_value_that_is_no_text_is_refused(file, monkeypatch) -> None:
    monkeypatch.setenv("PLACE", "/run/\udcff")

    with pytest.raises(ConfigError, match="not UTF-8"):
        listen(file, "${env:PLACE}")


def test_variables_that_double_each_other_cost_little(file) -> None:
    lines = ['v0 = "0123456789"', *(f'v{n + 1} = "${{v{n}}}${{v{n}}}"' for n in range(40))]
    began = time.monotonic()

    assert codes(file, "\n".join([*lines, 'a = "${v40}"'])).count("VM009") == 1

    assert time.monotonic() - began < 60  # all of it would be 10 TiB


def test_a_long_chain_of_variables_is_refused(file) -> None:
    lines = [f'v{n} = "${{v{n + 1}}}"' for n in range(3000)]

    assert "VM009" in codes(file, "\n".join([*lines, 'v3000 = "x"', 'a = "${v0}"']))


def test_identity_is_that_of_what_the_variables_stand_for(file, monkeypatch) -> None:
    def hashes() -> tuple[str, str]:
        (graph,) = filter(None, [check(file, [], require_files=False).graph])
        return identity_hash(graph), full_hash(graph)

    file.write_text(PC)
    plain = hashes()
    monkeypatch.setenv("SIZE", "16")
    file.write_text(PC.replace('"16M"', '"${size}"') + '[vars]\nsize = "${env:SIZE}M"\n')

    assert hashes() == plain


def test_a_graph_is_not_remembered_over_a_change_of_the_environment(
    file, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("VMMGR_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("SIZE", "16M")
    file.write_text(PC.replace('"16M"', '"${env:SIZE}"') + '[lpc.com1]\nbackend = "null"\n')
    load_graph(file, remember=True)
    assert remembered.find(file, ()) is not None

    monkeypatch.setenv("SIZE", "8M")

    assert load_graph(file, remember=True).memory_size == 8 << 20
