# SPDX-License-Identifier: BSD-2-Clause
"""Debian's kernel and a busybox initramfs, fetched once by the example's own script."""

from __future__ import annotations

import fcntl
import subprocess

import pytest

from support.vmmgr import ROOT

IMAGES = ROOT / "machines" / "linux"
FETCH = ROOT / "examples" / "linux" / "fetch.sh"


def linux_images() -> None:
    """Make sure that machines/linux has its images; a loud skip when Debian is out of reach."""
    with (IMAGES / ".gitignore").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if all((IMAGES / name).exists() for name in ("vmlinuz", "initrd.img", "network.img")):
            return
        fetched = subprocess.run([FETCH], capture_output=True, text=True, check=False)
        if fetched.returncode:
            pytest.skip(f"NO LINUX GUEST: {FETCH.name} failed: {fetched.stderr.strip()}")
