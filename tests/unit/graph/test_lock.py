# SPDX-License-Identifier: BSD-2-Clause
"""`plan --lock` and `validate --locked`: a change that the guest can see is made on purpose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.bzimage import bzimage

from manager.cli.main import main

TEXT = """\
name = "demo"

[memory]
size = "32M"

[boot]
kernel = "k"

[slots.0]
device = "hostbridge"

[slots.31]
device = "lpc"

[lpc.com1]
backend = "stdio"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("k").write_bytes(bzimage())
    Path("file.toml").write_text(TEXT)


def change(old: str, new: str) -> None:
    Path("file.toml").write_text(TEXT.replace(old, new))


def test_lock_file_has_the_machines_name_and_is_written_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["plan", "--lock", "file.toml"]) == 0
    assert capsys.readouterr().out == "demo.lock: written\n"
    assert main(["plan", "--lock", "file.toml"]) == 0
    assert capsys.readouterr().out == "demo.lock: up to date\n"
    content = json.loads(Path("demo.lock").read_text())
    assert (content["schema"], len(content["hash"])) == (1, 64)


def test_unchanged_file_is_valid() -> None:
    main(["plan", "--lock", "file.toml"])
    assert main(["validate", "--locked", "file.toml"]) == 0


def test_wiring_may_change() -> None:
    main(["plan", "--lock", "file.toml"])
    change('"stdio"', '"pty"')
    assert main(["validate", "--locked", "file.toml"]) == 0


@pytest.mark.parametrize(
    ("old", "new", "message", "line"),
    [
        ('"32M"', '"64M"', "memory.size: 32 MiB in demo.lock, 64 MiB in the machine file", 4),
        ("[lpc.com1]", "[lpc.com2]", "lpc.com1 (uart) moved to lpc.com2", 15),
        ('"stdio"', '"stdio"\npace = "baud"', "lpc.com1.properties", 15),
        ('kernel = "k"', 'kernel = "k"\ncmdline = "q"', 'boot.cmdline: "" in demo.lock, "q"', 8),
        ('name = "demo"', 'name = "demo"\n[debug]\nstrict-io = true', "debug", 2),
    ],
)
def test_what_the_guest_sees_may_not_change(
    old: str, new: str, message: str, line: int, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["plan", "--lock", "file.toml"])
    change(old, new)
    capsys.readouterr()
    assert main(["validate", "file.toml"]) == 0
    assert main(["validate", "--locked", "file.toml"]) == 2
    out = capsys.readouterr().out
    assert "error[VM080]: " + message in out
    assert f"file.toml:{line}:" in out
    assert main(["plan", "--lock", "file.toml"]) == 0
    assert main(["validate", "--locked", "file.toml"]) == 0


@pytest.mark.parametrize("content", [None, "{", "[]", '{"schema": 2}', '{"schema": 1}'])
def test_lock_file_that_cannot_be_read_is_an_error(
    content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        Path("demo.lock").write_text(content)
    assert main(["validate", "--locked", "file.toml", "--json"]) == 2
    (file,) = json.loads(capsys.readouterr().out)["files"]
    assert (file["ok"], [item["code"] for item in file["diagnostics"]]) == (False, ["VM081"])


def test_directory_in_place_of_the_lock_file_is_the_hosts_fault(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("demo.lock").mkdir()
    assert main(["plan", "--lock", "file.toml"]) == 1
    assert "demo.lock: cannot write the lock file" in capsys.readouterr().err
