# SPDX-License-Identifier: BSD-2-Clause
"""Skips are counted; where CI sets VMMGR_NO_SKIP, only those that nothing avoids are left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.vmmgr import ROOT

SUITE = """
import pytest
from support.needs import impossible, needs

@needs("objcopy")
def test_without_the_tool():
    pass

def test_without_the_file():
    pytest.skip("no such file")

def test_on_another_kernel():
    impossible("the kernel is too old")

@pytest.mark.xfail(reason="known")
def test_known():
    assert False

def test_fine():
    pass
"""


def outcome(folder: Path, *options: str, **settings: str) -> tuple[int, str]:
    """The exit code and the output of pytest on SUITE, on a host without tools."""
    (folder / "test_some.py").write_text(SUITE)
    (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    ours = ("PYTEST", "VMMGR")
    env = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    env |= {"PATH": str(folder), "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", **settings}
    without = [f"-pno:{plugin}" for plugin in ("cacheprovider", "hypothesispytest", "vmmgr")]
    command = [sys.executable, "-m", "pytest", *without, "-ra", "-c", os.devnull]
    ran = subprocess.run(
        [*command, *options, "--rootdir", folder, folder],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stdout + ran.stderr


def test_skips_are_counted_at_the_end(tmp_path: Path) -> None:
    code, text = outcome(tmp_path)

    assert code == 0
    assert "3 skipped, 2 of them avoidable" in text
    assert "no objcopy: apt-get install binutils" in text


def test_an_avoidable_skip_fails_where_none_is_allowed(tmp_path: Path) -> None:
    code, text = outcome(tmp_path, "-n", "1", VMMGR_NO_SKIP="1")

    assert code == 1
    assert text.count("VMMGR_NO_SKIP=1: an avoidable skip is a failure") >= 2
    assert "1 passed, 1 skipped, 1 xfailed" in text
    assert "1 skipped, 0 of them avoidable" in text


def test_ci_allows_none_and_installs_every_tool() -> None:
    script = (ROOT / ".ci" / "run").read_text()

    assert "export VMMGR_NO_SKIP=1" in script
    assert ".ci/tools" in script
