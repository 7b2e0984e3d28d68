# SPDX-License-Identifier: BSD-2-Clause
"""Processes that are killed at a system call of theirs, by strace."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from support.vmmgr import ROOT

_CALL = re.compile(r"^(?:\d+ +)?(\w+)\(")


@dataclass(frozen=True, slots=True)
class Point:
    """The `nth` call of that name in a process's life; strace counts each name by itself."""

    name: str
    nth: int
    line: str


def run(script: Path, *arguments: str | Path, calls: str, at: Point | None = None) -> list[Point]:
    """Run a Python script of the tests to its end, or to its death `at` a call; its calls.

    How often a process opens files depends on what is cached, so not every point is reached.
    """
    log = Path(tempfile.gettempdir()) / f"vmmgr-calls-{os.getpid()}"
    if at is not None:
        how = ["-e", f"inject={at.name}:signal=SIGKILL:when={at.nth}"]
    else:
        how = ["--seccomp-bpf"]  # faster, but nothing can be injected
    command = ["strace", "-f", "-qq", "-s", "4096", "-o", log]
    try:
        done = subprocess.run(
            [*command, "-e", f"trace={calls}", *how, sys.executable, script, *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            check=False,
            capture_output=True,
            text=True,
        )
        text = log.read_text()
    finally:
        log.unlink(missing_ok=True)
    assert done.returncode in (0, -9, 137), done.stderr
    count: Counter[str] = Counter()
    found = []
    for line in text.splitlines():
        if (match := _CALL.match(line)) is not None:
            count[match[1]] += 1
            found.append(Point(match[1], count[match[1]], line))
    return found
