# SPDX-License-Identifier: BSD-2-Clause
"""Reading the characters of a pattern: escapes, members of a class, the place of an error."""

from __future__ import annotations

import unicodedata

from manager.lazy import dataclass

OCTAL, DECIMAL, HEX = "01234567", "0123456789", "0123456789abcdefABCDEF"
CATEGORIES = {
    "d": "0-9",
    "w": "0-9A-Za-z_",
    "s": r"\t-\r ",
    "D": r"\x00-/:-\x{10ffff}",
    "W": r"\x00-/:-@\[-\^`{-\x{10ffff}",
    "S": r"\x00-\x08\x0e-\x1f!-\x{10ffff}",
}
"""What stands for each in a character class; Python's \\s has the vertical tab, RE2's has not."""
_CONTROL = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}
_SHOWN = 60
"""Characters before and after an error that are shown with it."""
_SPECIAL = frozenset("\\.+*?()|[]{}^$-")


class PatternError(ValueError):
    """A text that is no pattern here: what is wrong, `position` in characters, and the remedy."""

    def __init__(self, message: str, pattern: str, position: int, help: str = "") -> None:
        super().__init__(f"{message}, at character {position + 1}")
        self.message = message
        self.pattern = pattern
        self.position = position
        self.help = help

    def report(self) -> str:
        """The error over the pattern, with a mark below the character."""
        first = max(self.position - _SHOWN, 0)
        around = self.pattern[first : self.position + _SHOWN]
        visible = "".join(char if char.isprintable() else "\ufffd" for char in around)
        mark = " " * (self.position - first) + "^"
        return f"{self}\n  | {visible}\n  | {mark} {self.help}".rstrip()


@dataclass(slots=True)
class Reader:
    """A pattern, and how far it was read."""

    source: str
    at: int = 0

    def peek(self, text: str) -> bool:
        """Whether `text` comes next."""
        return self.source.startswith(text, self.at)

    def take(self, text: str) -> bool:
        """Go behind `text` if it comes next."""
        if not self.peek(text):
            return False
        self.at += len(text)
        return True

    def next(self, what: str, since: int) -> str:
        """One character of something that began at `since`."""
        if self.at == len(self.source):
            raise self.error(f"{what} without its end", since)
        self.at += 1
        return self.source[self.at - 1]

    def digits(self, allowed: str, most: int) -> str:
        """The digits that come next, `most` of them."""
        begin = self.at
        while self.at < len(self.source) and self.source[self.at] in allowed:
            if self.at - begin == most:
                break
            self.at += 1
        return self.source[begin : self.at]

    def error(self, message: str, position: int, help: str = "") -> PatternError:
        """What to raise."""
        return PatternError(message, self.source, position, help)

    def octal(self, begin: int) -> str:
        """The character of up to three octal digits that come next."""
        value = int(self.digits(OCTAL, 3), 8)
        if value > 0o377:
            raise self.error("an octal number beyond 0o377", begin)
        return chr(value)

    def character(self, char: str, begin: int) -> str:
        """The character that an escape with `char` stands for, in and out of a class."""
        if char in _CONTROL:
            return _CONTROL[char]
        if char == "0":
            self.at -= 1
            return self.octal(begin)
        if char in _HEX_DIGITS:
            wanted = _HEX_DIGITS[char]
            digits = self.digits(HEX, wanted)
            if len(digits) < wanted or int(digits, 16) > 0x10FFFF:
                raise self.error(f"\\{char} needs {wanted} hexadecimal digits", begin)
            return chr(int(digits, 16))
        if char == "N" and self.take("{"):
            end = self.source.find("}", self.at)
            try:
                found = unicodedata.lookup(self.source[self.at : max(end, self.at)])
            except KeyError:
                found = ""
            if len(found) != 1:
                raise self.error("no character of that name", begin)
            self.at = end + 1
            return found
        if char.isascii() and char.isalnum():
            raise self.error(f"\\{char} means nothing", begin, "a backslash itself is written \\\\")
        return char

    def member(self, begin: int) -> str:
        """A character of a class; a category is its two characters."""
        at = self.at
        char = self.next("a character class", begin)
        if char != "\\":
            return char
        char = self.next("a character class", begin)
        if char in CATEGORIES:
            return f"\\{char}"
        if char == "b":
            return "\b"
        if char in OCTAL:
            self.at -= 1
            return self.octal(at)
        return self.character(char, at)

    def quoted(self, char: str, begin: int) -> str:
        """A character as RE2 takes it for itself, in and out of a class."""
        if "\ud800" <= char <= "\udfff":
            raise self.error("half a surrogate pair is no character", begin)
        if char in _SPECIAL:
            return f"\\{char}"
        return char if char.isprintable() else f"\\x{{{ord(char):x}}}"
