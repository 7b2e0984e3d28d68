# SPDX-License-Identifier: BSD-2-Clause
"""Warnings: off with `allow`, silent next to errors; colour only where a terminal is."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from manager.cli.colour import has_colour
from manager.config.diagnostics import Diagnostic, Span, render
from manager.graph.build import check

ODD = '[memory]\nsize = "5M"\n[boot]\nkernel = "k"\n'


def codes(folder: Path, text: str) -> list[str]:
    path = folder / "demo.toml"
    path.write_text(text)
    return [item.code for item in check(path, require_files=False).diagnostics]


def test_a_warning_can_be_allowed(tmp_path: Path) -> None:
    assert codes(tmp_path, ODD) == ["VM101"]
    assert codes(tmp_path, 'allow = ["VM101"]\n' + ODD) == []
    assert codes(tmp_path, 'allow = ["VM100"]\n' + ODD) == ["VM101"]


def test_an_unused_variable_can_be_allowed(tmp_path: Path) -> None:
    text = '[boot]\nkernel = "k"\n[vars]\na = "b"\n'
    assert codes(tmp_path, text) == ["VM109"]
    assert codes(tmp_path, 'allow = ["VM109"]\n' + text) == []


def test_advice_waits_until_errors_are_gone(tmp_path: Path) -> None:
    assert codes(tmp_path, ODD + "[cpu]\nmodels = 1\n") == ["VM010"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_needs_a_terminal_that_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert has_colour(Terminal())
    assert not has_colour(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not has_colour(Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not has_colour(Terminal())


def test_colours_change_nothing_but_colour() -> None:
    span = Span("a.toml", 3, 5, 2, "a = xy", "here")
    item = Diagnostic("VM014", "wrong", span, (span,), help="h")
    plain, coloured = render([item]), render([item], colour=True)
    assert "\x1b[1;31merror[VM014]" in coloured
    for code in ("\x1b[1;31m", "\x1b[1;34m", "\x1b[1;36m", "\x1b[1m", "\x1b[0m"):
        coloured = coloured.replace(code, "")
    assert coloured == plain


@pytest.mark.parametrize("words", [["--help"], ["validate", "demo.toml"], ["graph", "demo.toml"]])
def test_the_engine_is_not_loaded_to_read_a_file(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "demo.toml").write_text('[boot]\nkernel = "demo.toml"\n')
    code = (
        "import sys; from manager.cli.main import main; main(sys.argv[1:]);"
        "print([name for name in sys.modules if name.startswith('unicorn')], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True, text=True, check=True, cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    assert done.stdout
    assert done.stderr.strip() == "[]"
