# SPDX-License-Identifier: BSD-2-Clause
"""What a guest prints, made harmless for a terminal outside an attached console.

A terminal obeys what it is sent: it moves the cursor, changes its modes, and answers questions as
if its user had typed the answer, which then lands in the shell.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from manager.text.sequences import SEQUENCE, UNFINISHED, asks, is_colour

RESET = b"\x1b[0m"
_PIECE = re.compile(rf"({SEQUENCE.pattern})|[\x00-\x06\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""A sequence, or a control character other than BEL, BS, HT, LF and CR."""


class TerminalText:
    r"""Output on its way to a terminal that is not the guest's: text, its colours, nothing else.

    How the bytes are cut makes no difference. `keeps` tells which sequences pass.

    >>> text = TerminalText()
    >>> text.add(b"\x1b[31mred\x1b[6n\x1b[2J") + text.end()
    b'\x1b[31mred\x1b[0m'
    """

    __slots__ = ("_decoder", "_held", "_keeps", "_styled")

    def __init__(self, keeps: Callable[[str], bool] = is_colour) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._keeps = keeps
        self._styled = False

    def add(self, data: bytes) -> bytes:
        """What of `data`, and of what was held back, a terminal may have."""
        text = self._held + self._decoder.decode(data)
        unfinished = UNFINISHED.search(text)
        end = unfinished.start() if unfinished else len(text)
        self._held = text[end:]
        return _PIECE.sub(self._pass, text[:end]).encode()

    def end(self) -> bytes:
        """What puts the colours back as they were."""
        return RESET if self._styled else b""

    def _pass(self, match: re.Match[str]) -> str:
        sequence = match[1]
        if sequence is None or not self._keeps(sequence):
            return ""
        if is_colour(sequence):
            self._styled = sequence not in ("\x1b[m", "\x1b[0m")
        return match[0]


def without_questions() -> TerminalText:
    """For output that a terminal saw before: it may have all but what it would answer."""
    return TerminalText(lambda sequence: not asks(sequence))
