# SPDX-License-Identifier: BSD-2-Clause
"""Giving jobs to new processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from manager.errors import VmmgrError
from manager.replay.worker import Job, Reached

WORKER = (sys.executable, "-m", "manager.replay.worker")
PACKAGE_HOME = str(Path(__file__).parents[2])


def environment() -> dict[str, str]:
    """The one for another Python, which finds this very package in it."""
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [PACKAGE_HOME, path]))}


class Processes:
    """Runs jobs, each in a process of its own that began for it; `at_once` of them at a time."""

    def __init__(self, at_once: int = 2, worker: Sequence[str] = WORKER) -> None:
        self.at_once = max(1, at_once)
        self.worker = tuple(worker)

    def run(self, job: Job) -> list[Reached]:
        """One job. Raises VmmgrError when its process fails."""
        result = subprocess.run(
            self.worker,
            input=json.dumps(asdict(job)),
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
        )
        if result.returncode:
            last = result.stderr.strip().splitlines()[-1:] or [f"status {result.returncode}"]
            raise VmmgrError(f"a part of the run failed: {last[0]}")
        return [Reached(**reached) for reached in json.loads(result.stdout)]

    def both(self, *jobs: Job) -> list[list[Reached]]:
        """Several jobs, side by side as far as there is room."""
        with ThreadPoolExecutor(self.at_once) as pool:
            return list(pool.map(self.run, jobs))
