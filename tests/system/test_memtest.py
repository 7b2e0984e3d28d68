# SPDX-License-Identifier: BSD-2-Clause
"""Debian's memtest86+ runs its tests on a machine of ours and finds its RAM in order."""

from __future__ import annotations

import re
from pathlib import Path

from support.debian import package

from manager.graph.build import load_graph
from manager.machine.machine import Machine

MACHINE = """
schema = 1
[memory]
size = "8M"
[boot]
kernel = "{kernel}"
cmdline = "console=ttyS0,115200"
[slots.0]
device = "hostbridge"
[slots.31]
device = "lpc"
[lpc.com1]
backend = "null"
"""
LIMIT = 60_000_000_000
STEP = 100_000_000


def test_memtest_gets_to_its_last_test_without_an_error(tmp_path: Path) -> None:
    kernel = package("memtest86+") / "boot" / "memtest86+x64.bin"
    file = tmp_path / "memtest.toml"
    file.write_text(MACHINE.format(kernel=kernel))
    machine = Machine.power_on(load_graph(file))
    screen = ""

    # Test 10 only waits, for minutes, whether bits fade.
    while "#10 [Bit fade test" not in screen:
        assert machine.now() < LIMIT, screen[-2000:]
        assert machine.run(machine.now() + STEP) is None
        screen += machine.ports["lpc.com1"].take_output().decode(errors="replace")

    assert "Memtest86+ v6" in screen
    assert "#8  [Random number sequence]" in screen
    assert set(re.findall(r"Errors: +(\d+)", screen)) == {"0"}
