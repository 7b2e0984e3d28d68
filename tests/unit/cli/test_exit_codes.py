# SPDX-License-Identifier: BSD-2-Clause
"""docs/exit-codes.md and the code agree; tests/system/test_living_codes.py produces each code."""

from __future__ import annotations

import re
from pathlib import Path

from manager.errors import ExitCode

TABLE = Path(__file__).parents[3] / "docs" / "exit-codes.md"


def test_the_table_has_every_code_by_its_name() -> None:
    rows = re.findall(r"^\| (\d+) \| ([a-z-]+) \|", TABLE.read_text(), re.MULTILINE)

    assert rows == [(str(int(code)), code.name.lower().replace("_", "-")) for code in ExitCode]
