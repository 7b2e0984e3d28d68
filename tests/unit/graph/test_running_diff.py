# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr diff` with a machine that runs, is suspended, or lies in a snapshot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from manager.cli.main import main

pytestmark = pytest.mark.guest


def vmmgr(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "manager", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_running_suspended_and_stored_machine_against_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VMMGR_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.chdir(tmp_path)
    main(["new", "demo"])
    # Jump to itself, so that the machine stays.
    Path("demo.bin").write_bytes(b"\xeb\xfe")
    text = Path("demo.toml").read_text().replace('"stdio"', '"null"')
    Path("demo.toml").write_text(text)

    assert vmmgr("up", "demo.toml", "-d").returncode == 0
    try:
        running = vmmgr("diff", "demo", "demo.toml")
        Path("demo.toml").write_text(text.replace('"16M"', '"18M"'))
        edited = vmmgr("diff", "demo", "demo.toml")
        vmmgr("suspend", "demo")
        suspended = vmmgr("diff", "demo", "demo.toml")
        stored = vmmgr("diff", "state/demo/snapshots/current", "demo")
    finally:
        vmmgr("down", "demo")

    change = "what the guest sees:\n  ~ memory.size: 16 MiB -> 18 MiB\n"
    assert (running.returncode, running.stdout) == (0, "no difference\n")
    assert (edited.returncode, edited.stdout) == (
        1,
        f"--- demo (running)\n+++ demo.toml\n{change}",
    )
    assert (suspended.returncode, suspended.stdout) == (
        1,
        f"--- demo (suspended)\n+++ demo.toml\n{change}",
    )
    assert (stored.returncode, stored.stdout) == (0, "no difference\n")
