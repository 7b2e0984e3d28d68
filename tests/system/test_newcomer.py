# SPDX-License-Identifier: BSD-2-Clause
"""What the README promises for a fresh clone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from support.vmmgr import ROOT

ENV = ("VMMGR", "XDG", "MAKE", "MFLAGS", "VIRTUAL_ENV", "PYTHONPATH", "PYTEST")
"""How the names begin of what a newcomer's environment does not have."""


@pytest.fixture(scope="module")
def clone() -> Iterator[Path]:
    """A fresh clone, in a short place: sockets are made near it."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("NOT A GIT CHECKOUT: nothing to clone")
    with tempfile.TemporaryDirectory(prefix="new-") as folder:
        subprocess.run(["git", "clone", "--quiet", ROOT, f"{folder}/vmmgr"], check=True)
        (Path(folder) / "home").mkdir()
        yield Path(folder) / "vmmgr"


@pytest.fixture
def env(clone: Path) -> dict[str, str]:
    """What the newcomer's shell exports."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(ENV)}
    return {**env, "HOME": str(clone.parent / "home")}


def test_make_hello_in_a_fresh_clone_sets_itself_up_and_greets(
    clone: Path, env: dict[str, str]
) -> None:
    console = pexpect.spawn("make", ["hello"], cwd=str(clone), env=env, encoding="utf-8")

    console.expect_exact("Hello from vmmgr", timeout=300)
    said = [line for line in console.before.splitlines() if line and "vmmgr: " not in line]
    assert said == ["preparing .venv, this once"]
    console.expect_exact("> ", timeout=10)
    console.send("h\r")
    console.expect("halt", timeout=10)
    console.send("q\r")
    console.expect_exact("Halted.", timeout=10)
    console.expect(pexpect.EOF, timeout=30)
    console.close()
    assert console.exitstatus == 0


def make(clone: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `make hello` with nothing to type on."""
    return subprocess.run(
        ["make", "hello", *options],
        cwd=clone,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_make_hello_without_a_terminal_shows_a_session_and_ends(
    clone: Path, env: dict[str, str], tmp_path: Path
) -> None:
    shown = make(clone, **env, TMPDIR=str(tmp_path))

    assert shown.returncode == 0, shown.stderr
    assert re.search(r"^> u\nup [0-9.]+ s, \d+ ticks\n> q\nHalted\.$", shown.stdout, re.MULTILINE)
    before, after = re.findall(r"running +(?:yes|-) +\d+s +(\d+) ", shown.stdout)
    assert before != after
    assert list(tmp_path.iterdir()) == []


def test_a_failed_preparation_shows_what_pip_said(clone: Path, env: dict[str, str]) -> None:
    failed = make(clone, "VENV=broken", **env, PIP_CONSTRAINT="no-such-file.txt")

    assert failed.returncode
    assert "no-such-file.txt" in failed.stderr
    assert "Hello" not in failed.stdout
