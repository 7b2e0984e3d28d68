# SPDX-License-Identifier: BSD-2-Clause
"""An initramfs around Debian's static busybox, by the Linux example's own script."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.debian import package
from support.vmmgr import ROOT

SCRIPT = ROOT / "examples" / "linux" / "initramfs.py"
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
cd /
exec sh
"""
"""A shell on whatever the kernel takes as its console."""


def initramfs(folder: Path, *, architecture: str = "") -> Path:
    """Write one into `folder`, for a kernel of that architecture: by default the host's."""
    init, image = folder / "init", folder / "initrd.img"
    init.write_text(INIT)
    busybox = package("busybox-static", architecture=architecture) / "bin" / "busybox"
    subprocess.run([sys.executable, SCRIPT, busybox, init, image], check=True)
    return image
