# SPDX-License-Identifier: BSD-2-Clause
"""A run is a function of the machine file and the images, whatever the host does meanwhile.

Linux's boot is cut at few points here; with `VMMGR_THOROUGH=1` at 20.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.vmmgr import ROOT

SHARE = ROOT / "tests" / "support" / "part_of_a_run.py"
MILLISECOND = 1_000_000
POINTS = 20 if os.environ.get("VMMGR_THOROUGH") == "1" else 5


def share(machine: str, until: int, slice_: int, *options: str | Path) -> dict[str, Any]:
    """One process's part of a run."""
    command = [sys.executable, SHARE, ROOT / machine, str(until), str(slice_), *options]
    result = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": ROOT}
    )
    parsed: dict[str, Any] = json.loads(result.stdout)
    return parsed


def in_pieces(machine: str, cuts: list[int], until: int, folder: Path) -> dict[str, Any]:
    """The same run, suspended at every cut and resumed in a new process with other slices."""
    choose = random.Random(1)
    snapshot: Path | None = None
    output: dict[str, str] = {}
    for number, end in enumerate([*cuts, until]):
        target = folder / str(number)
        options = ["--to", target] if end != until else []
        if snapshot is not None:
            options += ["--from", snapshot]
        part = share(machine, end, choose.randrange(20_000, 5 * MILLISECOND), *options)
        for id, text in part["output"].items():
            output[id] = output.get(id, "") + text
        snapshot = target
    return {**part, "output": output}


def assert_same(one: dict[str, Any], two: dict[str, Any]) -> None:
    for key in ("output", "records"):
        for id in one[key]:
            assert one[key][id] == two[key][id], f"{key} of {id}"
    assert one["ram"] == two["ram"]


def test_hello_is_the_same_in_one_run_and_in_many(tmp_path: Path) -> None:
    until = 2500 * MILLISECOND
    cuts = sorted(random.Random(7).sample(range(until), 6))

    whole = share("machines/hello.toml", until, until)
    pieces = in_pieces("machines/hello.toml", cuts, until, tmp_path)

    assert_same(whole, pieces)


@pytest.mark.usefixtures("linux")
def test_linux_boot_suspended_at_random_points_is_the_same(tmp_path: Path) -> None:
    until = 1300 * MILLISECOND  # the shell has its prompt by then
    cuts = sorted(random.Random(20).sample(range(until), POINTS))

    whole = share("machines/linux.toml", until, until)
    again = share("machines/linux.toml", until, 777_777)
    pieces = in_pieces("machines/linux.toml", cuts, until, tmp_path)

    assert b"/ # " in bytes.fromhex(whole["output"]["lpc.com1"])
    assert_same(whole, again)
    assert_same(whole, pieces)
