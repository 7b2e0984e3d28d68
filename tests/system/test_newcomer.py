# SPDX-License-Identifier: BSD-2-Clause
"""What the README promises to somebody who has just cloned the project."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from support.vmmgr import ROOT


@pytest.fixture
def clone() -> Iterator[Path]:
    """A fresh clone, in a short place: sockets are made near it."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("NOT A GIT CHECKOUT: nothing to clone")
    with tempfile.TemporaryDirectory(prefix="new-") as folder:
        subprocess.run(["git", "clone", "--quiet", ROOT, f"{folder}/vmmgr"], check=True)
        yield Path(folder) / "vmmgr"


def test_make_hello_in_a_fresh_clone_sets_itself_up_and_greets(clone: Path) -> None:
    home = clone.parent / "home"
    home.mkdir()
    drop = ("VMMGR", "XDG", "MAKE", "MFLAGS", "VIRTUAL_ENV", "PYTHONPATH", "PYTEST")
    env = {key: value for key, value in os.environ.items() if not key.startswith(drop)}

    console = pexpect.spawn(
        "make", ["hello"], cwd=str(clone), env={**env, "HOME": str(home)}, encoding="utf-8"
    )

    console.expect_exact("Hello from vmmgr", timeout=300)
    console.expect_exact("> ", timeout=10)
    console.send("h\r")
    console.expect("halt", timeout=10)
    console.send("q\r")
    console.expect_exact("Halted.", timeout=10)
    console.expect(pexpect.EOF, timeout=30)
    console.close()
    assert console.exitstatus == 0
