# SPDX-License-Identifier: BSD-2-Clause
"""The keys of a console that are not for the guest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from manager.lazy import dataclass

Action = Literal[
    "detach", "help", "break", "suspend", "log", "send-file", "take", "pause", "power-button"
]

DEFAULT_ESCAPE = 0x1D
"""Ctrl-]; with Ctrl each of @ A-Z [ \\ ] ^ _ has a code below 32."""

AFTER_TILDE: dict[int, tuple[Action, str]] = {
    ord("."): ("detach", "detach"),
    ord("?"): ("help", "this list"),
    ord("b"): ("break", "send a break"),
    ord("s"): ("suspend", "suspend the machine"),
    ord("p"): ("pause", "pause the machine, or let it go on"),
    ord("l"): ("log", "begin or end a log of this console"),
    ord("f"): ("send-file", "send a file"),
    ord("w"): ("take", "become the one who types"),
    ord("o"): ("power-button", "press the power button"),
}
"""What follows `~` at the start of a line."""


@dataclass(frozen=True, slots=True)
class Typed:
    """Bytes for the guest."""

    data: bytes


class Keys:
    """Separates what is for the guest from commands to the console.

    `escape` detaches wherever it is typed; `~` counts at the start of a line only, and `~~` there
    sends one `~`. With `escape` None every byte goes to the guest.
    """

    def __init__(self, escape: int | None = DEFAULT_ESCAPE) -> None:
        self._escape = escape
        self._line_start = True
        self._tilde = False

    def read(self, data: bytes) -> Iterator[Typed | Action]:
        """What was typed, in order."""
        if self._escape is None:
            yield Typed(data)
            return
        plain = bytearray()
        for byte in data:
            action: Action | None = None
            if self._tilde:
                self._tilde = False
                if byte in AFTER_TILDE:
                    action = AFTER_TILDE[byte][0]
                    self._line_start = True
                elif byte != ord("~"):
                    plain.append(ord("~"))
            elif self._line_start and byte == ord("~"):
                self._tilde = True
                continue
            if action is None and byte == self._escape:
                action = "detach"
            if action is not None:
                if plain:
                    yield Typed(bytes(plain))
                    plain.clear()
                yield action
                continue
            plain.append(byte)
            self._line_start = byte in b"\r\n"
        if plain:
            yield Typed(bytes(plain))

    def help(self) -> list[str]:
        """The list of keys, a line each."""
        lines = [f"  {name_of(self._escape)}  detach"] if self._escape is not None else []
        lines += [f"  ~{chr(key)}      {text}" for key, (_, text) in AFTER_TILDE.items()]
        return [*lines, "  ~~      send ~", "  (~ counts after Enter only)"]


def parse_escape(text: str) -> int | None:
    """Read `^]`, `ctrl-]` or `none`. Raises ValueError.

    >>> parse_escape("^A"), parse_escape("ctrl-]"), parse_escape("none")
    (1, 29, None)
    """
    if text.lower() == "none":
        return None
    letter = text.lower().removeprefix("ctrl-") if len(text) > 2 else text.removeprefix("^")
    if len(letter) != 1 or letter == text or not "@" <= letter.upper() <= "_":
        raise ValueError("write the key as ^] or ctrl-], or `none`")
    return ord(letter.upper()) & 0x1F


def name_of(escape: int) -> str:
    """The key for people.

    >>> name_of(29)
    'Ctrl-]'
    """
    return f"Ctrl-{chr(escape | 0x40)}"
