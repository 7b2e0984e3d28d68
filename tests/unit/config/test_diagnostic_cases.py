# SPDX-License-Identifier: BSD-2-Clause
"""Every diagnostic as a user sees it: tests/cases/diagnostics/<code>-<case>.

A case is what `vmmgr validate machine.toml` prints in that folder, kept in expected.txt; a line
of set.txt becomes a `--set`, a line of arguments.txt an argument. To accept new output, run with
VMMGR_UPDATE_CASES=1 and read the diff.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from manager.cli.verbs import validate
from manager.config.codes import TITLES, is_warning

FOLDER = Path(__file__).parents[2] / "cases" / "diagnostics"
CASES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


def run_validate(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    validate.register(parser.add_subparsers())
    args = parser.parse_args(["validate", *arguments])
    code: int = args.run(args)
    return code


@pytest.mark.parametrize("case", CASES)
def test_report_is_as_expected(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = FOLDER / case
    monkeypatch.chdir(folder)
    settings = (folder / "set.txt").read_text().split("\n") if Path("set.txt").exists() else []
    overrides = [word for line in settings if line for word in ("--set", line)]

    arguments = Path("arguments.txt").read_text().split() if Path("arguments.txt").exists() else []

    code = run_validate("machine.toml", *arguments, *overrides)

    report = capsys.readouterr().out
    if os.environ.get("VMMGR_UPDATE_CASES"):
        (folder / "expected.txt").write_text(report)
    assert report == (folder / "expected.txt").read_text()
    named = case.partition("-")[0]
    assert f"[{named}]" in report
    assert code == (0 if is_warning(named) else 2)


def test_every_code_has_a_case() -> None:
    assert {case.partition("-")[0] for case in CASES} == set(TITLES)
