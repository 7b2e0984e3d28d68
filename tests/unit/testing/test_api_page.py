# SPDX-License-Identifier: BSD-2-Clause
"""docs/python-api.md does what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.tutorial import blocks

pytestmark = pytest.mark.guest

ROOT = Path(__file__).parents[3]


def test_examples_run_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs/python-api.md").read_text()
    names: dict[str, Any] = {}

    examples = [block for block in blocks(page) if block.language == "python"]
    for block in examples:
        exec(compile("\n" * block.line + block.text, "docs/python-api.md", "exec"), names)

    assert len(examples) == 6
    assert names["machine"].closed
