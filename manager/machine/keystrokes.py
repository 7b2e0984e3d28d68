# SPDX-License-Identifier: BSD-2-Clause
"""What is done with a keyboard of US layout and a mouse, as events that they take.

>>> typed("A").hex(" ")
'e1 01 04 01 04 00 e1 00'
>>> written("<ctrl-c>") == pressed("ctrl-c")
True
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from manager.devices.ps2_keyboard.device import EVENT, KEYS, WAITING_LIMIT
from manager.devices.ps2_keyboard.keys import NUMBERS, OTHER_NAMES
from manager.devices.ps2_mouse.device import EVENT as MOTION_EVENT
from manager.devices.ps2_mouse.device import MOTION
from manager.errors import UsageError
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.machine.machine import Machine

NAMED = {
    "\n": "enter",
    "\t": "tab",
    "\b": "backspace",
    "\x1b": "esc",
    " ": "space",
    "-": "minus",
    "=": "equal",
    "[": "bracketleft",
    "]": "bracketright",
    "\\": "backslash",
    ";": "semicolon",
    "'": "apostrophe",
    "`": "grave",
    ",": "comma",
    ".": "period",
    "/": "slash",
}
"""Characters whose key has another name; letters and digits are called as they are."""
SHIFTED = dict(zip('~!@#$%^&*()_+{}|:"<>?', "`1234567890-=[]\\;',./", strict=True))
"""Characters that take Shift, and what their key gives without."""
BUTTONS = ("left", "right", "middle")
LESS_THAN = "lt"
"""What `<` is called between `<` and `>`."""
_NAMES_HELP = (
    "a key is called by its character, or enter, esc, tab, f1, up, ctrl, alt, ...; "
    "docs/screen.md has them all"
)


@dataclass(frozen=True, slots=True)
class Keystrokes:
    """Keys of a command line."""

    source: str
    """As they were written there."""
    events: bytes


def typed(text: str) -> bytes:
    """The events of typing `text`. Raises UsageError for a character that has no key."""
    return b"".join(_character(text, place) for place in range(len(text)))


def written(text: str) -> bytes:
    """The same, where keys may have a name: `ls<enter>`, `<ctrl-alt-delete>`; `<lt>` is a `<`.

    Raises UsageError.
    """
    return b"".join(_written(text))


def pressed(chord: str) -> bytes:
    """The events of one key, with others that are held meanwhile: "enter", "ctrl-alt-delete".

    Raises UsageError for a name that no key has.
    """
    *held, last = _parts(chord)
    numbers = [_number(name, chord) for name in held]
    if last in SHIFTED:
        numbers.append(NUMBERS["shift"])
        last = SHIFTED[last]
    return _chord([*numbers, _number(last, chord)])


def event(name: str, *, down: bool) -> bytes:
    """One key that goes down or up. Raises UsageError for a name that no key has."""
    return bytes((_number(name, name), down))


def moved(
    right: int = 0, down: int = 0, turn: int = 0, *, press: str = "", release: str = ""
) -> bytes:
    """What a mouse does at once, as an event; `turn` counts steps of its wheel, away from the user.

    Raises UsageError for more than it can do at once, and for a button that it has not.
    """
    numbers = [0 if not name else 1 << _button(name) for name in (press, release)]
    try:
        return MOTION_EVENT.pack(right, down, turn, *numbers)
    except struct.error:
        raise UsageError(
            f"a mouse does not move by {right}, {down} and its wheel by {turn} at once",
            help="up to 32767 steps in a direction, and 127 of the wheel",
        ) from None


def check_keyboard(kinds: Iterable[str], name: str) -> None:
    """Raise UsageError when a machine with devices of these `kinds` has no keyboard."""
    _check("ps2-keyboard", "keyboard", kinds, name)


def _check(kind: str, called: str, kinds: Iterable[str], name: str) -> None:
    if kind not in kinds:
        raise UsageError(
            f"{name} has no {called}",
            help=f'a slot with `device = "vga"` gives it one, as does a table [lpc.{kind}]',
        )


def move(machine: Machine, events: bytes) -> None:
    """Have motion arrive at the machine's mouse. Raises UsageError when it has none."""
    _check("ps2-mouse", "mouse", _kinds(machine), machine.graph.name)
    machine.inputs.post(MOTION, "", events)


def _kinds(machine: Machine) -> Iterator[str]:
    return (node.type for node in machine.graph.devices)


def _button(name: str) -> int:
    if name not in BUTTONS:
        raise UsageError(f"no button is called {name!r}", help=f"one of {', '.join(BUTTONS)}")
    return BUTTONS.index(name)


def press(machine: Machine, events: bytes) -> None:
    """Have keys arrive at the machine's keyboard. Raises UsageError."""
    check_keyboard(_kinds(machine), machine.graph.name)
    if len(events) > EVENT * WAITING_LIMIT:
        raise UsageError(
            f"{len(events) // (2 * EVENT)} keys are too many at once",
            help=f"{WAITING_LIMIT // 2} may wait for the guest: type the rest later",
        )
    if events:
        machine.inputs.post(KEYS, "", events)


def _written(text: str) -> Iterator[bytes]:
    place = 0
    while place < len(text):
        if text[place] != "<":
            yield _character(text, place)
            place += 1
            continue
        # A key's name may end with ">": <ctrl->> is Ctrl and ">".
        end = text.find(">", place + 2)
        if end < 0:
            raise UsageError(
                f"{text!r}: `<` at character {place + 1} begins the name of a key that does not "
                "end",
                help="end it with `>`, as in `<enter>`; the character itself is `<lt>`",
            )
        if text[end - 1] == "-" and text[end : end + 2] == ">>":
            end += 1
        name = text[place + 1 : end]
        yield _chord([NUMBERS["shift"], NUMBERS["comma"]]) if name == LESS_THAN else pressed(name)
        place = end + 1


def _character(text: str, place: int) -> bytes:
    character = text[place]
    plain = SHIFTED.get(character, character.lower() if character.isascii() else character)
    number = NUMBERS.get(NAMED.get(plain, plain))
    if number is None:
        raise UsageError(
            f"{text!r}: there is no key for character {place + 1}, {character!r}",
            help="the keyboard has the US layout: type what it has, or send text to a serial port",
        )
    return _chord([NUMBERS["shift"], number] if plain != character else [number])


def _parts(chord: str) -> list[str]:
    """Names between dashes; the last may be a dash."""
    if chord == "-":
        return ["-"]
    return [*chord[:-2].split("-"), "-"] if chord.endswith("--") else chord.split("-")


def _number(name: str, chord: str) -> int:
    plain = name if len(name) == 1 else name.lower()
    known = NAMED.get(plain) or OTHER_NAMES.get(plain, plain)
    number = NUMBERS.get(known.lower())
    if number is None:
        where = f" in {chord!r}" if chord != name else ""
        raise UsageError(f"no key is called {name!r}{where}", help=_NAMES_HELP)
    return number


def _chord(numbers: list[int]) -> bytes:
    """Down in order, up in reverse."""
    down = [part for number in numbers for part in (number, 1)]
    return bytes(down + [part for number in reversed(numbers) for part in (number, 0)])
