# SPDX-License-Identifier: BSD-2-Clause
"""What people write in TOML who are used to another language, or to a word processor."""

from __future__ import annotations

import re
import unicodedata

_QUOTES = (
    "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2032\u2033"
    "\u00ab\u00bb\u2039\u203a\uff02\uff07`"
)
_WORDS = {
    "true": "true", "yes": "true", "on": "true",
    "false": "false", "no": "false", "off": "false",
}  # fmt: skip
_NOTHING = ("none", "null", "nil", "undefined")
_ODD_KEY = "a key with other characters than a-z, 0-9, - and _ stands in quotation marks"
_COMMENT = re.compile(r"//|/\*|--|;|%|'|rem\b|!", re.IGNORECASE)
_CONFLICT = re.compile(r"<{7}|={7}|>{7}|\|{7}")
_NUMBER = re.compile(r"[+-]?0[0-9]")
_BACKSLASH = ("Unescaped", "Invalid hex value", "Escaped character")


def advice(line: str, at: int, message: str) -> str | None:
    """What to write instead, where tomli refuses column `at` (from 0) of a line with `message`."""
    if message.startswith(_BACKSLASH):
        return "a backslash begins an escape; write \\\\, or take single quotation marks: 'C:\\vm'"
    before, rest = line[:at].strip(), line[at:]
    char, word = rest[:1], (re.match(r"\w*", rest) or [""])[0].lower()
    if _CONFLICT.match(line):
        return "a merge left its marks here; keep one of the two sides"
    if (odd := _odd_character(line, at)) is not None:
        return odd
    if not before:
        return _at_the_start(rest)
    if message.startswith("Expected '=' after a key"):
        return _after_a_key(before, char)
    if before.endswith("=") and char == "=":
        return "one = is enough"
    if message.startswith("Invalid value") and word in _WORDS:
        return f"write {_WORDS[word]}"
    if message.startswith("Invalid value") and word in _NOTHING:
        return "TOML has no such value; leave the key out"
    if message.startswith("Expected newline"):
        return _after_a_value(line, at)
    return "text needs quotation marks" if char.isalpha() or (char in "/.~$" and char) else None


def _odd_character(line: str, at: int) -> str | None:
    """For what only looks like a quotation mark or a blank, up to the word at `at`."""
    char = line[at : at + 1]
    seen = line[: at + 1].rpartition("=")[2] if char else line
    if any(quote in seen for quote in _QUOTES):
        return "write straight quotation marks, \" or '"
    if char and not char.isascii() and (char.isspace() or unicodedata.category(char) == "Cf"):
        return f"U+{ord(char):04X} only looks like a blank; write a blank"
    return None


def _at_the_start(rest: str) -> str | None:
    if rest[:1] in ("{", "<") or rest.startswith("---"):
        return "a machine file is TOML; `vmmgr new NAME` writes one to start from"
    if _COMMENT.match(rest):
        return "a comment begins with #"
    return _ODD_KEY if not rest[:1].isascii() else None


def _after_a_key(before: str, char: str) -> str | None:
    if before.startswith(("--", "//")):
        return "a comment begins with #"
    if char == ":":
        return "write = between a key and its value"
    if char and not char.isascii():
        return _ODD_KEY
    return "write KEY = VALUE; a key with blanks stands in quotation marks" if char else None


def _after_a_value(line: str, at: int) -> str | None:
    before, rest = line[:at].strip(), line[at:]
    value = before.rpartition("=")[2].strip()
    if rest[:2] in ("//", "/*", "--"):
        return "a comment begins with #"
    if rest[:1] in (",", ";"):
        return "each value ends its line; write nothing after it"
    if before.startswith("[") and before.endswith("]") and "=" not in before:
        return "a table's heading has a line of its own"
    if value.startswith("'"):
        return "text in single quotation marks ends at the next one; take double ones"
    if _NUMBER.match(value + rest):
        return "a number has no zeros in front, but for 0x, 0o and 0b"
    return "text needs quotation marks" if rest[:1].isalnum() else None
