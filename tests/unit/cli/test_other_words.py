# SPDX-License-Identifier: BSD-2-Clause
"""Words of other tools get the command that does it here."""

from __future__ import annotations

import re

import pytest

import manager
from manager.cli.main import VERBS, main
from manager.cli.other_words import ANSWERS

COMMON = (
    "ps list start stop exec attach kill destroy edit inspect shutdown reboot pause delete create "
    "define ssh top"
)


@pytest.mark.parametrize("word", COMMON.split())
def test_a_word_of_another_tool_is_answered_with_a_command_that_there_is(word, capsys) -> None:
    assert main([word]) == 2

    told = capsys.readouterr().err
    assert f"vmmgr has no verb {word!r}" in told
    verbs = re.findall(r"`vmmgr ([a-z-]+)", told.partition("help:")[2])
    assert verbs
    assert set(verbs) <= set(VERBS)


@pytest.mark.parametrize("word", sorted(ANSWERS))
def test_every_answer_names_verbs_that_there_are_and_no_verb_is_answered(word) -> None:
    assert word not in VERBS
    assert set(re.findall(r"`vmmgr ([a-z-]+)", ANSWERS[word])) <= set(VERBS)


def test_the_answer_has_the_name_that_was_given(capsys) -> None:
    assert main(["ssh", "demo"]) == 2
    assert "`vmmgr console demo`" in capsys.readouterr().err


def test_a_name_that_is_none_is_not_repeated(capsys) -> None:
    assert main(["kill", "; rm -rf /"]) == 2
    assert "`vmmgr down NAME`" in capsys.readouterr().err


def test_a_mistyped_word_of_another_tool_is_understood_too(capsys) -> None:
    assert main(["shutdwon"]) == 2
    assert "`vmmgr down NAME`" in capsys.readouterr().err


def test_help_and_version_just_work(capsys) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"vmmgr {manager.__version__}\n"

    assert main(["help"]) == 0
    assert "Running machines:" in capsys.readouterr().out

    assert main(["help", "up"]) == 0
    assert "usage: vmmgr up" in capsys.readouterr().out
