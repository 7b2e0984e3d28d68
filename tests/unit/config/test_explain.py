# SPDX-License-Identifier: BSD-2-Clause
"""Every diagnostic has a page, and what its examples claim is true."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from manager.cli.main import main
from manager.config.codes import TITLES
from manager.config.explain import Example, Page, page, render

SOURCE = Path(__file__).parents[3] / "manager"
GUEST = (SOURCE.parent / "tests/cases/diagnostics/kernel.bin").read_bytes()
"""A kernel that a flat image may be, too."""
CODE = re.compile(r'"(VM[0-9]{3})"')


def test_every_code_in_the_source_has_a_title() -> None:
    used = {code for path in SOURCE.rglob("*.py") for code in CODE.findall(path.read_text())}
    assert used == set(TITLES)


def found(code: str) -> Page:
    shown = page(code)
    assert shown is not None
    return shown


@pytest.mark.parametrize("code", TITLES)
def test_page_has_the_title_and_both_examples(code: str) -> None:
    shown = found(code)
    assert shown.title == TITLES[code]
    assert len(shown.text) > 40
    assert [example.kind for example in shown.examples][:2] == ["Wrong", "Right"]


def reported(example: Example, shown: Page, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The codes that `validate` reports of an example, in a folder with all that it mentions."""
    for name in ("vmlinuz", "initrd.img", "hello.bin", "debian.img"):
        Path(name).write_bytes(GUEST)
    for other in shown.examples:
        if other.kind == "With":
            Path(other.detail).parent.mkdir(exist_ok=True)
            Path(other.detail).write_text(other.text)
        elif other.kind.startswith("The lock"):
            Path("demo.toml").write_text(other.text)
            main(["plan", "--lock", "demo.toml"])
    Path("demo.toml").write_text(example.text)
    arguments = shlex.split(example.detail)
    files = [] if any(word.endswith(".toml") for word in arguments) else ["demo.toml"]
    capsys.readouterr()
    main(["validate", *files, *arguments])
    return set(re.findall(r"\[(VM[0-9]{3})\]", capsys.readouterr().out))


@pytest.mark.parametrize("code", TITLES)
def test_wrong_example_is_wrong_in_just_that_way(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = found(code)
    assert reported(shown.examples[0], shown, capsys) == {code}


@pytest.mark.parametrize("code", TITLES)
def test_right_example_is_without_fault(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = found(code)
    assert reported(shown.examples[1], shown, capsys) == set()


def test_a_page_is_shown_without_markup(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "vm012"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("VM012: a slot is used twice\n\n")
    assert '    [slots.0]\n    device = "hostbridge"\n' in out
    assert "```" not in out
    assert "\x1b" not in out


def test_colour_is_for_terminals() -> None:
    assert "\x1b[31mWrong:\x1b[0m" in render(found("VM012"), colour=True)


def test_all_codes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(TITLES)


@pytest.mark.parametrize(
    ("code", "help"), [("E0308", "`vmmgr explain` lists"), ("VM1O9", "did you mean `VM109`")]
)
def test_unknown_code_is_a_usage_error(
    code: str, help: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", code]) == 2
    assert help in capsys.readouterr().err
