# SPDX-License-Identifier: BSD-2-Clause
"""The disk with a real Debian, built once by the example's own script."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

import pytest

from support.vmmgr import ROOT

PLACE = ROOT / "machines" / "debian"
BUILD = ROOT / "examples" / "debian" / "build.sh"


def debian_disk() -> Path:
    """Make sure that machines/debian has its disk; a loud skip when Debian is out of reach."""
    disk = PLACE / "debian.img"
    with (PLACE / ".gitignore").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not disk.exists():
            built = subprocess.run([BUILD], capture_output=True, text=True, check=False)
            if built.returncode:
                pytest.skip(f"NO DEBIAN DISK: {BUILD.name} failed: {built.stderr.strip()}")
    return disk
