# SPDX-License-Identifier: BSD-2-Clause
"""Where there was no C compiler, what runs no guest works, and what does says what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.small_machine import hello, incremental

from manager.snapshot.store import Store

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The package as an installation without a compiler leaves it."""
    leave_out = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "manager", tmp_path / "bare" / "manager", ignore=leave_out)
    shutil.copytree(ROOT / "machines", tmp_path / "machines")
    return tmp_path / "bare"


def vmmgr(bare: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.insert(0, {str(bare)!r})\nfrom manager.cli.main import entry\n"
    return subprocess.run(
        [sys.executable, "-c", code + "entry()", *arguments],
        cwd=bare.parent,
        env={**os.environ, "VMMGR_STATE_HOME": str(bare.parent / "state")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_what_runs_no_guest_works(bare: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    incremental(hello(tmp_path), store)
    commands: tuple[tuple[str | Path, ...], ...] = (
        ("validate", "machines/hello.toml"),
        ("plan", "machines/hello.toml"),
        ("graph", "machines/hello.toml"),
        ("config", "machines/hello.toml"),
        ("export", "machines/hello.toml", "--to", "qemu"),
        ("snapshot", "show", tmp_path / "store" / "current"),
        ("ls",),
        ("schema",),
    )
    for command in commands:
        result = vmmgr(bare, *command)
        assert result.returncode == 0, (command, result.stderr)
        assert result.stdout or command == ("ls",)


@pytest.mark.parametrize("command", ["up", "run"])
def test_running_a_guest_says_what_is_missing(bare: Path, command: str) -> None:
    result = vmmgr(bare, command, "machines/hello.toml")

    assert result.returncode == 1
    assert "native parts are not built" in result.stderr
    assert "gcc" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_doctor_says_it_too(bare: Path) -> None:
    result = vmmgr(bare, "doctor")

    assert result.returncode == 1
    assert "native parts are not built" in result.stdout


def test_a_build_without_a_compiler_succeeds(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", str(tmp_path / "lib"),
         "--build-temp", str(tmp_path / "temp")],
        cwd=ROOT,
        env={**os.environ, "CC": "false"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip

    assert result.returncode == 0, result.stderr
    assert not list(tmp_path.rglob("*.so"))
