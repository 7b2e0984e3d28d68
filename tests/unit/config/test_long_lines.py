# SPDX-License-Identifier: BSD-2-Clause
"""A machine file that is wrong takes time for its length only."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from manager.config.diagnostics import ConfigError
from manager.config.load import load

LONG = 60_000


@pytest.mark.parametrize(
    "text",
    [
        "a = 1\na" + " " * LONG + "= 2\nb" + " " * LONG + "= 1\na = 3\n",
        "\n" * LONG + "a = 1\na = 2\n",
        "a = [" + "[" * LONG + "]" * 9,
        "[x]\n" + "".join(f"[x.y{number}]\n" for number in range(LONG // 20)) + "[x]\n",
        "[x]\n" + "[ " * LONG + "\n[x]\n",
    ],
)
def test_a_fault_is_found_soon(tmp_path: Path, text: str) -> None:
    file = tmp_path / "long.toml"
    file.write_text(text)
    began = time.process_time()

    with pytest.raises(ConfigError):
        load(file)

    assert time.process_time() - began < 5
