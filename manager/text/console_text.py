# SPDX-License-Identifier: BSD-2-Clause
"""A serial port's output as readable text, without control sequences.

Bytes are UTF-8 (wrong ones become U+FFFD), ECMA-48 escape sequences are dropped, and carriage
returns before a line feed go, so that `^` and `$` of a pattern mean what they look like. How the
bytes were cut into chunks makes no difference to the text.
"""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

from manager.text.sequences import SEQUENCE, UNFINISHED

WINDOW = 65536
"""Characters that are kept; older ones are forgotten."""

_LINE_END = re.compile(r"(?<!\r)\r+\n")  # from the first: in linear time


class TextState(NamedTuple):
    """See ConsoleText.state."""

    text: str
    start: int
    decoder: tuple[bytes, int]
    sequence: str
    returned: bool


class ConsoleText:
    r"""The readable text of one port, at most WINDOW characters of it after `forget`.

    >>> text = ConsoleText()
    >>> text.add(b"\x1b[1mlogin:\x1b[0")
    >>> text.add(b"m \r")
    >>> text.add(b"\nroot")
    >>> text.text
    'login: \nroot'
    """

    __slots__ = ("_decoder", "_returned", "_sequence", "start", "text")

    def __init__(self) -> None:
        self.text = ""
        self.start = 0
        """How many characters were forgotten before `text`."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._sequence = ""
        self._returned = False

    def add(self, data: bytes) -> None:
        """Append what the port sent."""
        plain = self._without_sequences(self._decoder.decode(data))
        if self._returned:
            plain = "\r" + plain
        self._returned = plain.endswith("\r")
        self.text += _LINE_END.sub("\n", plain.rstrip("\r"))

    @property
    def state(self) -> TextState:
        """All that the text is, and that what comes next depends on."""
        held = self._decoder.getstate()
        return TextState(self.text, self.start, held, self._sequence, self._returned)

    @state.setter
    def state(self, state: TextState) -> None:
        self.text, self.start, held, self._sequence, self._returned = state
        self._decoder.setstate(held)

    def _without_sequences(self, more: str) -> str:
        held = self._sequence + more
        unfinished = UNFINISHED.search(held)
        end = unfinished.start() if unfinished else len(held)
        self._sequence = held[end:]
        return SEQUENCE.sub("", held[:end])

    def forget(self) -> None:
        """Drop what is older than WINDOW characters."""
        if (surplus := len(self.text) - WINDOW) > 0:
            self.text = self.text[surplus:]
            self.start += surplus

    def last_lines(self, count: int) -> str:
        """The last `count` lines, for a message."""
        return "\n".join(self.text.rstrip("\n").split("\n")[-count:])
