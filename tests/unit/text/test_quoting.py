# SPDX-License-Identifier: BSD-2-Clause
"""What is quoted comes back as it was, and nothing else comes with it."""

from __future__ import annotations

import shlex
import subprocess
from contextlib import suppress

import pytest
import tomli
from hypothesis import example, given, settings
from hypothesis import strategies as st

from manager.interop import bhyve_config
from manager.text.quoting import UnquotableError, quoted, shell_words
from manager.text.shown import shown

TEXTS = st.text(st.characters(), max_size=60) | st.text("'\"\\$`#!%=\n\r\t {}[]()*~;&|<>x\x00\x1b")
HOSTILE = 'x\'; touch /tmp/owned; echo "$(id)"`id`\n[gdb]\nlisten = 1'


@given(st.lists(TEXTS, max_size=30))
@example([HOSTILE, "", "-", "~", "#", "*", "\n", "a\nb"])
@settings(max_examples=60)
def test_words_of_a_shell_come_back(texts: list[str]) -> None:
    words = []
    for text in texts:
        with suppress(UnquotableError):
            quoted(text, "shell")
            words.append(text)

    line = shell_words(["printf", r"%s\0", *words, "end"])
    ran = subprocess.run(["sh", "-c", line], capture_output=True, check=True)

    assert ran.stdout.decode().split("\0")[:-1] == [*words, "end"]
    assert shlex.split(line)[2:] == [*words, "end"]


@given(TEXTS)
@example(HOSTILE)
@example("${x} $${x}")
@example("\U0001f600\x7f\x85\u2028")
def test_strings_and_keys_of_toml_come_back(text: str) -> None:
    with suppress(UnquotableError):
        line = f"{quoted(text, 'toml-key')} = {quoted(text, 'toml')}"

        assert tomli.loads(line) == {text: text.replace("${", "$${")}
        assert shown(line) == line


@given(st.lists(st.tuples(st.from_regex(r"[a-z][a-z.]{0,9}", fullmatch=True), TEXTS)))
@example([("name", HOSTILE)])
def test_settings_come_back(pairs: list[tuple[str, str]]) -> None:
    known = {}
    for name, value in pairs:
        with suppress(UnquotableError):
            quoted(value, "setting")
            known[name] = value

    text = bhyve_config.to_text(known)

    assert bhyve_config.expand(bhyve_config.parse(text, "x")) == known


@given(TEXTS)
@example(HOSTILE)
@settings(max_examples=40)
def test_a_comment_ends_with_its_line(text: str) -> None:
    line = f"# {quoted(text, 'comment')}"

    assert line.splitlines() == [line]
    assert tomli.loads(line) == {}
    assert bhyve_config.parse(line, "x") == {}
    assert subprocess.run(["sh", "-c", line], check=True, capture_output=True).stdout == b""


@pytest.mark.parametrize("text", ["a\nb", " a", "a ", "a\x00", "\x1b[2J"])
def test_what_a_setting_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(UnquotableError):
        quoted(text, "setting")
