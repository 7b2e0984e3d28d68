# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr new`: what it writes is a machine without faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.assembler import assemble
from support.ne2k_guests import GREETING

from manager.cli.main import main
from manager.config.starters import TEMPLATES, starting_lab

GUEST = (Path(__file__).parents[2] / "cases/diagnostics/kernel.bin").read_bytes()
"""A kernel; filled up to a page, firmware has that size too."""


@pytest.mark.parametrize("template", TEMPLATES)
def test_starter_validates_once_its_files_are_there(
    template: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "demo", "--template", template]) == 0
    for name in ("vmlinuz", "initrd.img", "bios.bin"):
        Path(name).write_bytes(GUEST.ljust(4096, b"\0"))
    capsys.readouterr()
    assert main(["validate", "demo.toml"]) == 0
    assert capsys.readouterr().out == "demo.toml: ok\n"


def test_smallest_starter_runs_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "first"]) == 0
    assert main(["run", "first.toml", "--max-time", "1s"]) == 0
    assert "Hello from first\r\n" in capfd.readouterr().out.replace("\r\r", "\r")


def test_nothing_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("demo.bin").write_bytes(b"mine")
    assert main(["new", "demo"]) == 2
    assert "demo.bin is there already" in capsys.readouterr().err
    assert not Path("demo.toml").exists()
    assert Path("demo.bin").read_bytes() == b"mine"


def test_wrong_name_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "My Machine"]) == 2
    assert "is not a name for a machine" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_new_lab_validates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "pair", "--lab"]) == 0
    assert main(["validate", "pair.toml"]) == 0
    assert capsys.readouterr().out.endswith("pair.toml: ok\n")
    assert main(["new", "pair", "--lab"]) == 2


def test_the_guest_of_a_new_lab_is_what_its_source_says() -> None:
    code = assemble(GREETING, 0x7C00, 16)

    assert starting_lab("pair")["pair-one.bin"] == code + b"Hello from one\r\n".ljust(46, b"\0")
