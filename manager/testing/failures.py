# SPDX-License-Identifier: BSD-2-Clause
"""What is kept of the machines of a test that failed: a report, the output, a snapshot."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from manager.errors import VmmgrError

if TYPE_CHECKING:
    from manager.api import Machine

_UNSAFE = re.compile(r"[^A-Za-z0-9._=-]+")
_LONGEST = 120


def keep(machine: Machine, directory: Path) -> str:
    """Write a machine's output, report and snapshot to `directory`; returns the report."""
    from manager.api import report

    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    lines = [f"time: {machine.time / 1e9:.6f} s of guest time"]
    if machine.ended is not None:
        lines.append(f"ended: {machine.ended} (exit status {machine.exit_status})")
    for console in machine.consoles:
        (directory / f"{console.port}.log").write_bytes(console.raw)
        if console.text:
            lines += [f"{console.port}, the last lines:", report.output_of(console.text)]
    lines += ["registers:", report.show_registers(machine.core.cpu.read_state())]
    lines += ["devices:", report.show_devices(machine.devices)]
    try:
        machine.snapshot(directory / "snapshot")
    except VmmgrError as error:
        lines.append(f"no snapshot: {error.message}")
    else:
        name = machine_name(directory.parent.name)
        place = shlex.quote(f"{directory / 'snapshot'}/")
        lines += [
            "snapshot, to look at or to go on from:",
            f"  vmmgr snapshot show {place}",
            f"  vmmgr snapshot clone {place} {name} && vmmgr resume {name}",
        ]
    text = "\n".join(lines)
    (directory / "report.txt").write_text(text + "\n")
    return text


def folder_name(node: str) -> str:
    """A test's id as the name of a directory.

    >>> folder_name("tests/test_boot.py::test_shell[linux 6.1]")
    'test_boot.py-test_shell-linux-6.1'
    """
    _, _, name = node.rpartition("/")
    return _UNSAFE.sub("-", name).strip("-")[-_LONGEST:]


def machine_name(folder: str) -> str:
    """A name for a machine that goes on from a failed test.

    >>> machine_name("test_boot.py-test_shell")
    'test-shell'
    """
    words = re.sub(r"[^a-z0-9]+", "-", folder.rpartition(".py-")[2].lower())
    return words.strip("-")[:40].strip("-") or "failed"
