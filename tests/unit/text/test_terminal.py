# SPDX-License-Identifier: BSD-2-Clause
"""What a terminal gets of foreign text commands nothing, and is the same however it was cut."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manager.text.terminal import TerminalText, without_questions

QUESTIONS = {
    "cursor": "\x1b[6n",
    "status": "\x1b[5n",
    "private status": "\x1b[?15n",
    "attributes": "\x1b[c",
    "primary attributes": "\x1b[0c",
    "secondary attributes": "\x1b[>c",
    "tertiary attributes": "\x1b[=c",
    "identify": "\x1bZ",
    "parameters": "\x1b[x",
    "mode": "\x1b[?2026$p",
    "window size": "\x1b[18t",
    "window title": "\x1b[21t",
    "version": "\x1b[>0q",
    "keyboard": "\x1b[?u",
    "setting": "\x1bP$qm\x1b\\",
    "terminfo": "\x1bP+q544e\x1b\\",
    "palette": "\x1b]4;1;?\x07",
    "background": "\x1b]11;?\x1b\\",
    "clipboard": "\x1b]52;c;?\x07",
    "graphics": "\x1b_Gi=31,a=q;AAAA\x1b\\",
    "answerback": "\x05",
}
MODES = {
    "clear": "\x1b[2J",
    "home": "\x1b[H",
    "alternate screen": "\x1b[?1049h",
    "mouse": "\x1b[?1003h",
    "reset": "\x1bc",
    "title": "\x1b]0;owned\x07",
    "character set": "\x1b(0",
    "shift out": "\x0e",
    "hidden cursor": "\x1b[?25l",
    "8-bit CSI": "\x9b6n",
}
ALLOWED = re.compile(r"(?:[^\x00-\x1f\x7f-\x9f]|[\x07\x08\t\n\r]|\x1b\[[0-9;:]*m)*", re.DOTALL)


def shown(text: TerminalText, data: bytes, size: int | None = None) -> bytes:
    size = size or max(len(data), 1)
    return b"".join(text.add(data[at : at + size]) for at in range(0, len(data), size))


@pytest.mark.parametrize("sequence", [*QUESTIONS.values(), *MODES.values()])
def test_text_passes_and_what_a_terminal_would_obey_does_not(sequence: str) -> None:
    given = f"before{sequence}after".encode()

    assert ALLOWED.fullmatch(shown(TerminalText(), given).decode())
    assert shown(TerminalText(), given).startswith(b"before")
    assert shown(TerminalText(), given).endswith(b"after")


@pytest.mark.parametrize("sequence", QUESTIONS.values())
def test_what_is_replayed_asks_nothing(sequence: str) -> None:
    assert shown(without_questions(), f"a{sequence}b".encode()) == b"ab"


@pytest.mark.parametrize("sequence", ["\x1b[2J", "\x1b[?1049h", "\x1b[H", "\x1b(0", "\x1b[1;31m"])
def test_what_is_replayed_draws_the_same(sequence: str) -> None:
    assert shown(without_questions(), f"a{sequence}b".encode()) == f"a{sequence}b".encode()


def test_colours_stay_and_are_put_back_at_the_end() -> None:
    text = TerminalText()

    assert text.add(b"\x1b[1;32mok\x1b[38:2:1:2:3m!") == b"\x1b[1;32mok\x1b[38:2:1:2:3m!"
    assert text.end() == b"\x1b[0m"
    assert text.add(b"\x1b[0m") == b"\x1b[0m"
    assert text.end() == b""


def test_layout_and_letters_stay() -> None:
    plain = "grün\t10%\r20%\b \r\n日本\a\n".encode()

    assert shown(TerminalText(), plain) == plain


@given(
    st.binary(max_size=64) | st.text("a\x1b[]6n;?\x07\\P\x9b\x05m1", max_size=64).map(str.encode)
)
def test_no_bytes_at_all_make_a_terminal_obey(data: bytes) -> None:
    whole = shown(TerminalText(), data)

    assert ALLOWED.fullmatch(whole.decode())
    assert all(shown(TerminalText(), data, size) == whole for size in range(1, len(data) + 1))
