# SPDX-License-Identifier: BSD-2-Clause
from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from manager.cli.verbs import snapshot as command
from manager.errors import SnapshotCorruptError


def run(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    command.register(parser.add_subparsers())
    args = parser.parse_args(["snapshot", *argv])
    status: int = args.run(args)
    return status


def test_show_names_each_field_with_its_unit_and_meaning(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("show", str(saved)) == 0

    out = capsys.readouterr().out
    assert "machine   demo, saved by vmmgr 0.1.0" in out
    assert "at        123456 ns, 120000 bytes of code executed" in out
    assert "slots.4: sample, version 1" in out
    assert "  ier = 0x5  # interrupt enable register" in out
    assert "  deadline = never  # when it fires" in out
    assert "    data = 00 ff  # bytes waiting" in out
    assert "  lanes[1]:  # lanes" in out


def test_show_json_holds_state_and_its_description(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("show", "--json", str(saved)) == 0

    shown = json.loads(capsys.readouterr().out)
    assert shown["header"]["executed"] == 120_000
    assert shown["devices"]["lpc.com1"]["fields"]["fifo"]["data"] == "00ff"
    assert shown["devices"]["lpc.com1"]["described"]["deadline"]["unit"] == "ns"


def test_verify_says_ok_or_raises(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", str(saved)) == 0
    assert "ok, 3 files, 2.078 MiB of RAM" in capsys.readouterr().out
    assert run("verify", "--json", str(saved)) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True

    ram = next(saved.glob("*.ram"))
    ram.chmod(0o600)
    with ram.open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\x11")
    with pytest.raises(SnapshotCorruptError):
        run("verify", str(saved))


def test_a_snapshot_is_shown_without_the_cpu_engine_or_a_known_device(saved: Path) -> None:
    script = (
        "import argparse, sys; from manager.cli.verbs import snapshot as c;"
        "p = argparse.ArgumentParser(); c.register(p.add_subparsers());"
        "a = p.parse_args(['snapshot', 'show', sys.argv[1]]); a.run(a);"
        "assert 'unicorn' not in sys.modules and 'pydantic' not in sys.modules"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, str(saved)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "interrupt enable register" in done.stdout
