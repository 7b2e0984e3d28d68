# SPDX-License-Identifier: BSD-2-Clause
"""What the figures were measured on and with."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

import manager
from benchmarks import qemu
from benchmarks.row import AbsentError


def facts() -> dict[str, str]:
    """The computer and the versions of everything that takes part."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} CPUs",
        "memory": _memory(),
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "vmmgr": manager.__version__,
        "unicorn": _package("unicorn"),
        "qemu": _qemu(),
    }


def _processor() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> str:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal"):
            return f"{int(line.split()[1]) / (1 << 20):.0f} GiB"
    return "unknown"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _package(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _qemu() -> str:
    try:
        return qemu.version()
    except AbsentError as error:
        return str(error)
