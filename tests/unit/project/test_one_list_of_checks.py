# SPDX-License-Identifier: BSD-2-Clause
"""`make test`, CI and the commit hooks check the same things."""

from __future__ import annotations

import re

from support.vmmgr import ROOT


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def needed_by(target: str) -> list[str]:
    """The targets that a target of the Makefile needs."""
    found = re.search(rf"^{target}: (.*)$", text("Makefile"), re.MULTILINE)
    assert found is not None
    return found[1].split()


def test_hooks_run_all_checks_but_the_tests_with_guests() -> None:
    hooks = re.findall(
        r"entry: make --silent (\w+)$", text(".pre-commit-config.yaml"), re.MULTILINE
    )

    assert [*hooks[:-1], "unit"] == needed_by("test")
    assert hooks[-1] == "quick"


def test_ci_runs_make_test() -> None:
    assert re.search(r"^make .*\btest\b", text(".ci/run"), re.MULTILINE)
