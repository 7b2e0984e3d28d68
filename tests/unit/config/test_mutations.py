# SPDX-License-Identifier: BSD-2-Clause
"""A small share of `python -m tests.fuzz.machine_files`."""

from __future__ import annotations

from pathlib import Path

from fuzz.machine_files import run


def test_mutated_files_are_reported_or_accepted(tmp_path: Path) -> None:
    assert run(700, 20_240_101, tmp_path) is None
