# SPDX-License-Identifier: BSD-2-Clause
"""The runner of Markdown pages: what it runs, what it accepts, what it writes back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support import tutorial
from support.tutorial import fits, run_page


def page(folder: Path, *blocks: str) -> Path:
    """A page of console blocks."""
    file = folder / "README.md"
    file.write_text("# A page\n" + "".join(f"\nText.\n```console\n{b}\n```\n" for b in blocks))
    return file


def run(folder: Path, *blocks: str) -> list[str]:
    return run_page(page(folder, *blocks), folder, os.environ)


@pytest.mark.parametrize(
    ("expected", "lines"),
    [
        (["a", "b"], ["a", "b"]),
        (["a  "], ["a"]),
        (["pid [..], up"], ["pid 17, up"]),
        (["...", "end"], ["1", "2", "end"]),
        (["...", "end"], ["end"]),
        (["a", "..."], ["a"]),
        (["(.*)"], ["(.*)"]),
        ([], []),
    ],
)
def test_output_that_fits(expected: list[str], lines: list[str]) -> None:
    assert fits(expected, lines)


@pytest.mark.parametrize(
    ("expected", "lines"),
    [
        (["a"], ["a", "b"]),
        (["a", "b"], ["a"]),
        (["[..]"], ["a", "b"]),
        ([".*"], ["anything"]),
        (["...", "end"], ["end", "more"]),
        ([], ["a"]),
    ],
)
def test_output_that_does_not_fit(expected: list[str], lines: list[str]) -> None:
    assert not fits(expected, lines)


def test_both_streams_and_the_exit_code_are_compared(tmp_path: Path) -> None:
    assert run(tmp_path, "$ echo out; echo err >&2; exit 3\n? 3\nout\nerr") == []
    assert run(tmp_path, "$ exit 3") != []
    assert run(tmp_path, "$ true\n? 3") != []


def test_commands_run_in_order_in_one_folder(tmp_path: Path) -> None:
    assert run(tmp_path, "$ echo one >file\n$ cat file\none", "$ cat \\\n    file\none") == []


def test_a_difference_names_its_line_and_shows_both_sides(tmp_path: Path) -> None:
    (difference,) = run(tmp_path, "$ echo good\ngood", "$ echo seen\nexpected")

    assert difference.startswith("README.md:11: echo seen\n")
    assert "\nexpected\n" in difference
    assert difference.endswith("\nseen")


def test_terminal_codes_and_carriage_returns_do_not_count(tmp_path: Path) -> None:
    assert run(tmp_path, r"$ printf '\033[1mbold\033[0m\r\n'" + "\nbold") == []


def test_a_command_without_an_end_is_ended(tmp_path: Path) -> None:
    (difference,) = run_page(page(tmp_path, "$ sleep 60"), tmp_path, os.environ, timeout=0.2)

    assert "no end within" in difference


def test_overwriting_keeps_wildcards_and_text_and_leaves_exit_codes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tutorial, "OVERWRITE", True)

    differences = run(
        tmp_path, "$ echo 7 cats; echo new\n[..] cats\nold", "$ exit 3\n? 4", "$ echo last"
    )

    text = (tmp_path / "README.md").read_text()
    assert len(differences) == 1
    assert "[..] cats\nnew\n```" in text
    assert "$ exit 3\n? 4\n```" in text
    assert text.endswith("$ echo last\nlast\n```\n")
    assert text.count("Text.") == 3


def test_a_block_must_begin_with_a_command(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="begins with a command"):
        run(tmp_path, "output of nothing")
