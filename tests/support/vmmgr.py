# SPDX-License-Identifier: BSD-2-Clause
"""The vmmgr command as its users run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pexpect

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "manager")


class Vmmgr:
    """Runs the vmmgr of a tree with a state directory of its own, from the tree's root."""

    def __init__(self, home: Path, tree: Path = ROOT) -> None:
        self.home = home
        self.tree = tree
        self.env = {
            **os.environ,
            "VMMGR_STATE_HOME": str(home / "state"),
            "XDG_RUNTIME_DIR": str(home / "run"),
            "PYTHONPATH": str(tree),
        }
        (home / "run").mkdir(mode=0o700)

    def __call__(
        self, *arguments: str | Path, status: int = 0, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end, with no terminal and no input, and hold it to its exit code."""
        result = self.any(*arguments, timeout=timeout)
        assert result.returncode == status, (
            f"exit {result.returncode}, not {status}\n{result.stdout[-2000:]}\n{result.stderr}"
        )
        return result

    def any(self, *arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """The same with any exit code, as long as it is one and no traceback."""
        result = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            env=self.env,
            cwd=self.tree,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
        assert "Traceback" not in result.stderr, result.stderr
        assert "internal error" not in result.stderr, result.stderr
        return result

    def terminal(self, *arguments: str | Path, timeout: float = 60) -> pexpect.spawn[str]:
        """Run on a terminal of its own."""
        return pexpect.spawn(
            COMMAND[0],
            [*COMMAND[1:], *map(str, arguments)],
            env=self.env,
            cwd=str(self.tree),
            timeout=timeout,
            encoding="utf-8",
            codec_errors="replace",
        )
