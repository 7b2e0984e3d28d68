# SPDX-License-Identifier: BSD-2-Clause
"""Linux, suspended and resumed at random points of its boot and of work in a shell.

Each leg is a process of its own; every other suspend is incremental. `VMMGR_THOROUGH=1` takes 200
points instead of 8.
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

ROOT = Path(__file__).parents[2]
POINTS = 200 if os.environ.get("VMMGR_THOROUGH") == "1" else 8
END = 6_000_000_000
MILLISECOND = 1_000_000


def leg(store: Path, until: int, kind: str) -> dict[str, Any]:
    script, machine = ROOT / "tests/support/leg.py", ROOT / "machines/linux.toml"
    done = subprocess.run(
        [sys.executable, script, machine, store, str(until), kind],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.usefixtures("linux")
def test_linux_goes_on_from_every_point_as_if_nothing_had_happened(tmp_path: Path) -> None:
    undisturbed = leg(tmp_path / "none", END, "last")
    chance = random.Random(2024)
    cuts = sorted(chance.sample(range(MILLISECOND, END), POINTS))
    output: dict[str, str] = {}
    deltas = 0
    for number, cut in enumerate([*cuts, END]):
        kind = "last" if cut == END else "delta" if number % 2 else "whole"
        part = leg(tmp_path / "store", cut, kind)
        deltas += part.get("saved", {}).get("delta") == "True"
        for id, text in part["output"].items():
            output[id] = output.get(id, "") + text

    assert b"end\r\n/ # " in bytes.fromhex(output["lpc.com1"])
    assert output == undisturbed["output"]
    assert part["ram"] == undisturbed["ram"]
    assert part["records"] == undisturbed["records"]
    assert deltas >= POINTS // 4
