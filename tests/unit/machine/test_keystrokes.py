# SPDX-License-Identifier: BSD-2-Clause
"""From what users write to keys of a US keyboard."""

from __future__ import annotations

import pytest

from manager.devices.ps2_keyboard.keys import NAMES
from manager.errors import UsageError
from manager.machine.keystrokes import SHIFTED, moved, pressed, typed, written


def told(events: bytes) -> str:
    """Events as one line: "+shift +a -a -shift"."""
    pairs = zip(events[::2], events[1::2], strict=True)
    return " ".join(f"{'+' if down else '-'}{NAMES[number]}" for number, down in pairs)


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("a", "+a -a"),
        ("A", "+shift +a -a -shift"),
        ("!", "+shift +1 -1 -shift"),
        ("<lt>", "+shift +comma -comma -shift"),
        (">", "+shift +period -period -shift"),
        ("<enter>\n", "+enter -enter +enter -enter"),
        ("<ctrl-alt-del>", "+ctrl +alt +delete -delete -alt -ctrl"),
        ("<Ctrl-C>", "+ctrl +c -c -ctrl"),
        ("<ctrl-->", "+ctrl +minus -minus -ctrl"),
        ("<->", "+minus -minus"),
        ("<ctrl->>", "+ctrl +shift +period -period -shift -ctrl"),
        ("<altgr-q>", "+ralt +q -q -ralt"),
    ],
)
def test_keys_are_written_as_characters_and_names(text: str, events: str) -> None:
    assert told(written(text)) == events


def test_every_character_of_a_us_keyboard_has_a_key() -> None:
    every = "".join(map(chr, range(32, 127))) + "\n\t\b\x1b"

    assert told(typed(every)).count("+shift") == 26 + len(SHIFTED)


def test_a_text_is_typed_as_it_stands() -> None:
    assert typed("<x>") == written("<lt>x>")


def test_a_chord_is_pressed_and_released_in_reverse() -> None:
    assert told(pressed("shift-f10")) == "+shift +f10 -f10 -shift"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abü", "'abü': there is no key for character 3, 'ü'"),
        ("x<foo>", "no key is called 'foo'"),
        ("<ctrl-ü>", "no key is called 'ü' in 'ctrl-ü'"),
        ("a<enter", "'a<enter': `<` at character 2 begins the name of a key that does not end"),
        ("<>", "'<>': `<` at character 1 begins the name of a key that does not end"),
        ("<a->", "no key is called '' in 'a-'"),
    ],
)
def test_what_has_no_key_is_told_with_its_place_and_a_remedy(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        written(text)

    assert caught.value.message == message
    assert caught.value.help


def test_a_mouse_cannot_do_everything_at_once() -> None:
    with pytest.raises(UsageError, match="does not move by 40000"):
        moved(40000)
    with pytest.raises(UsageError, match="no button is called 'fourth'"):
        moved(press="fourth")
