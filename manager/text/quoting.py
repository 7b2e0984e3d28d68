# SPDX-License-Identifier: BSD-2-Clause
"""Text that goes into generated text: shell, TOML, NAME=VALUE lines, and comments in any of them.

Nothing may end where its maker did not mean it to, so there is one way to put a text into each.
"""

from __future__ import annotations

import re
import shlex
from typing import Literal

from manager.text.shown import shown

Form = Literal["shell", "toml", "toml-key", "setting", "comment"]
"""A word of a POSIX shell; a string of a machine file, and a key; bhyve's value behind `NAME=`; a
comment that ends with its line."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SHORT = {"\b": "b", "\t": "t", "\n": "n", "\f": "f", "\r": "r", '"': '"', "\\": "\\"}
"""The escapes that TOML has besides \\uXXXX."""


class UnquotableError(ValueError):
    """The form has no way to hold the text."""


def quoted(text: str, form: Form) -> str:
    r"""`text` as it stands in that form. Raises UnquotableError.

    >>> print(quoted("it's", "shell"), quoted('"${x}"', "toml"), quoted("a b", "toml-key"))
    'it'"'"'s' "\"$${x}\"" "a b"
    """
    match form:
        case "shell":
            return _shell(text)
        case "toml":
            return _toml(text).replace("${", "$${")
        case "toml-key":
            return text if _BARE_KEY.fullmatch(text) else _toml(text)
        case "setting":
            return _setting(text)
        case "comment":
            return shown(text)


def shell_words(words: list[str]) -> str:
    """A command line for a shell. Raises UnquotableError."""
    return " ".join(quoted(word, "shell") for word in words)


def _shell(text: str) -> str:
    # Inside of '...' a shell takes all as it is; a NUL it cannot have, and what else a terminal
    # would obey is not written into what people look at and copy.
    if shown(plain := text.replace("\n", "").replace("\t", "")) != plain:
        raise UnquotableError("a shell's word cannot have control characters")
    return shlex.quote(text)


def _toml(text: str) -> str:
    return f'"{"".join(map(_toml_character, text))}"'


def _toml_character(char: str) -> str:
    if char in _SHORT:
        return f"\\{_SHORT[char]}"
    if "\ud800" <= char <= "\udfff":
        raise UnquotableError("TOML has no halves of surrogate pairs")
    if shown(char) == char:
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 1 << 16 else f"\\U{ord(char):08x}"


def _setting(text: str) -> str:
    if shown(text) != text or text != text.strip():
        raise UnquotableError("a value ends with its line, and no spaces are at its ends")
    return text.replace("%", "%%")
