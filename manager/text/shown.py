# SPDX-License-Identifier: BSD-2-Clause
"""Text of others on the user's terminal: names, snapshots, machine files, messages, guests' words.

A terminal obeys control characters: it moves, hides, overwrites and answers. So they are shown as
signs, one for each, which keeps columns straight; bytes of a file name that are no text as escapes.
`shown` does that to a text, and `Shown` to all that is printed to a stream.
"""

from __future__ import annotations

import re
from typing import TextIO

_SYMBOLS = 0x2400
"""U+2400 and on are pictures of the 32 C0 control characters; U+2421 is that of DEL."""
_OTHER = "\N{REPLACEMENT CHARACTER}"
_OBEYED = frozenset(("Cc", "Cf", "Zl", "Zp"))
"""Categories of characters that a terminal acts on: controls, direction and other invisible
formats, separators of lines."""
_COLOUR = re.compile("(\x1b\\[[0-9;]*m)")


def shown(text: str) -> str:
    r"""`text`, with a sign in place of each character that a terminal would obey.

    >>> shown("a\x1b[2Jb\n")
    'a␛[2Jb␊'
    """
    return _shown(text, "")


def shown_lines(text: str) -> str:
    """The same for a text of several lines, whose ends and tabulators stay."""
    return _shown(text, "\n\t")


def _shown(text: str, keep: str) -> str:
    if text.translate(dict.fromkeys(map(ord, keep))).isprintable():
        return text
    import unicodedata

    return "".join(
        char if char.isprintable() or char in keep else _sign(char, unicodedata.category(char))
        for char in text
    )


def _sign(char: str, category: str) -> str:
    if char < " ":
        return chr(_SYMBOLS + ord(char))
    if char == "\x7f":
        return "\N{SYMBOL FOR DELETE}"
    if category == "Cs":
        return f"\\u{ord(char):04x}"
    return _OTHER if category in _OBEYED else char


class Shown:
    """A text stream that shows what is printed to it: lines and tabulators, and no other controls.

    With `colours` the sequences that set colours pass. All else is the stream's own; what is
    written to its `buffer` is not text, and not changed.
    """

    def __init__(self, stream: TextIO, *, colours: bool = False) -> None:
        self.unfiltered = stream
        self._colours = colours

    def write(self, text: str) -> int:
        """Print a text."""
        if not text.isprintable():
            parts = _COLOUR.split(text) if self._colours else [text]
            # Every other part is a sequence that was split at.
            parts[::2] = [shown_lines(part) for part in parts[::2]]
            text = "".join(parts)
        return self.unfiltered.write(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self.unfiltered, name)


class Muted:
    """A text stream for messages that are not wanted; `loud` is the stream for those that are."""

    def __init__(self, stream: TextIO) -> None:
        self.loud = stream
        self.unfiltered = self

    def write(self, text: str) -> int:
        """Drop a text."""
        return len(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self.loud, name)


def loud(stream: TextIO) -> TextIO:
    """The stream below a Muted, for errors and questions."""
    found: TextIO = getattr(stream, "loud", stream)
    return found


def unfiltered(stream: TextIO) -> TextIO:
    """The stream below a Shown, for text that is wholly our own, cursor movements and all."""
    found: TextIO = getattr(stream, "unfiltered", stream)
    return found
