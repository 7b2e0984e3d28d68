# SPDX-License-Identifier: BSD-2-Clause
"""Text that has to stay as it was written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.testing.golden import Golden


def test_text_that_is_the_same_passes(tmp_path: Path) -> None:
    Golden(tmp_path / "golden", update=True)("help.txt", "one\ntwo")

    Golden(tmp_path / "golden", update=False)("help.txt", "one\ntwo\n")


def test_changed_text_fails_with_the_difference(tmp_path: Path) -> None:
    (tmp_path / "help.txt").write_text("one\ntwo\n")

    with pytest.raises(AssertionError, match=r"(?s)-two.*\+three.*--vmmgr-update"):
        Golden(tmp_path, update=False)("help.txt", "one\nthree")


def test_missing_text_says_how_to_write_it(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="--vmmgr-update"):
        Golden(tmp_path, update=False)("help.txt", "one")
