# SPDX-License-Identifier: BSD-2-Clause
"""Escape sequences of terminals: ECMA-48, and what xterm and its kin add."""

from __future__ import annotations

import re

LONGEST = 512
"""The longest string (OSC, DCS, ...) that is taken for one; a longer one is text."""

SEQUENCE = re.compile(
    r"\x1b(?:"
    r"\[[0-?]{0,64}[ -/]{0,8}[@-~]"  # CSI: colours, cursor movement
    rf"|\][^\x07\x1b]{{0,{LONGEST}}}(?:\x07|\x1b\\)"  # OSC: window titles
    rf"|[PX^_][^\x1b]{{0,{LONGEST}}}\x1b\\"  # DCS, SOS, PM, APC
    r"|[ -/]{1,8}[0-~]"  # character sets
    r"|[0-OQ-WYZ\\`-~]"  # save cursor, reset and the like
    r")"
)
UNFINISHED = re.compile(
    r"\x1b(?:"
    r"\[[0-?]{0,64}[ -/]{0,8}"
    rf"|\][^\x07\x1b]{{0,{LONGEST}}}\x1b?"
    rf"|[PX^_][^\x1b]{{0,{LONGEST}}}\x1b?"
    r"|[ -/]{0,8}"
    r")\Z"
)
"""What may still become a sequence."""

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_ASKS = re.compile(
    r"\x1b(?:"
    r"Z"  # DECID
    r"|\[[0-?]*(?:[cnx]|\$p|t)"  # attributes, status, parameters, modes, the window
    r"|\[[>?=][0-?]*[qu]"  # version, keyboard protocol
    r"|\][^\x07\x1b]*\?.*"  # colours, fonts, the clipboard
    r"|[PX^_].*"  # settings, graphics
    r")\Z",
    re.DOTALL,
)


def is_colour(sequence: str) -> bool:
    """Whether it changes nothing but how text looks (SGR)."""
    return _COLOUR.fullmatch(sequence) is not None


def asks(sequence: str) -> bool:
    """Whether a terminal answers it, as if its user had typed the answer."""
    return _ASKS.fullmatch(sequence) is not None
