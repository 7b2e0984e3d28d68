# SPDX-License-Identifier: BSD-2-Clause
"""Where every key and value of a TOML document stands.

tomli says what a document means but not where its parts are. This scanner runs over text that
tomli has accepted, so it only finds the edges of tokens and never judges them.
"""

from __future__ import annotations

import re
from typing import TypeAlias

import tomli

from manager.lazy import dataclass

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys, and indices into arrays, from the root of a document to one of its parts."""


@dataclass(frozen=True, slots=True)
class Region:
    """Characters [start, end) of a document."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a part is named and where its value stands; an element of an array has no name."""

    key: Region | None
    value: Region | None = None


_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|'[^'\n]*'|"(?:[^"\\\n]|\\.)*\"""")
_SCALAR = re.compile(
    r"""
      \"{3} (?: \\[\s\S] | (?!\"{3})[\s\S] )* \"{3,5}   # multi-line basic string
    | '{3} (?: (?!'{3})[\s\S] )* '{3,5}                 # multi-line literal string
    | " (?: [^"\\\n] | \\. )* "
    | ' [^'\n]* '
    | \d{4}-\d\d-\d\d[ ]\d\d: [^\s,\]}#]*               # a date, a space, a time
    | [^\s,\]}#]+
    """,
    re.VERBOSE,
)


def scan(text: str) -> dict[KeyPath, Entry]:
    """Every table, key and array element of `text`, which must be valid TOML with LF line ends."""
    return _Scanner(text).document()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.entries: dict[KeyPath, Entry] = {}
        self.lengths: dict[KeyPath, int] = {}
        """How many elements each array of tables has so far."""

    def document(self) -> dict[KeyPath, Entry]:
        table: KeyPath = ()
        self.skip(_BLANK)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)
            self.skip(_BLANK)
        return self.entries

    def skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        assert match is not None
        self.at = match.end()

    def header(self) -> KeyPath:
        """`[a.b]` or `[[a.b]]`; returns the path of the table it opens."""
        brackets = 2 if self.text.startswith("[[", self.at) else 1
        self.at += brackets
        parts = self.keys()
        self.at += brackets
        path: KeyPath = ()
        for name, region in parts:
            path += (name,)
            self.entries.setdefault(path, Entry(region))
            is_last = region is parts[-1][1]
            if is_last and brackets == 2:
                self.lengths[path] = self.lengths.get(path, 0) + 1
            if path in self.lengths:
                path += (self.lengths[path] - 1,)
            if is_last:
                self.entries[path] = Entry(region)
        return path

    def keys(self) -> list[tuple[str, Region]]:
        """A dotted key; each region reaches from the first part to the end of that part."""
        parts: list[tuple[str, Region]] = []
        self.skip(_SPACE)
        start = self.at
        while True:
            match = _KEY.match(self.text, self.at)
            assert match is not None
            self.at = match.end()
            parts.append((_plain_key(match.group()), Region(start, self.at)))
            self.skip(_SPACE)
            if self.text[self.at] != ".":
                return parts
            self.at += 1
            self.skip(_SPACE)

    def pair(self, table: KeyPath) -> None:
        """`a.b = value`."""
        parts = self.keys()
        self.at += 1
        self.skip(_SPACE)
        path = table
        for name, region in parts:
            path += (name,)
            self.entries.setdefault(path, Entry(region))
        self.entries[path] = Entry(parts[-1][1], self.value(path))

    def value(self, path: KeyPath) -> Region:
        start = self.at
        if self.text[start] == "[":
            self.array(path)
        elif self.text[start] == "{":
            self.inline_table(path)
        else:
            self.skip(_SCALAR)
        return Region(start, self.at)

    def array(self, path: KeyPath) -> None:
        index = 0
        while self.more("]"):
            element = (*path, index)
            self.entries[element] = Entry(None, self.value(element))
            index += 1

    def inline_table(self, path: KeyPath) -> None:
        while self.more("}"):
            self.pair(path)

    def more(self, closer: str) -> bool:
        """Pass the opening bracket or a comma; False once the closing bracket is passed."""
        self.skip(_BLANK)
        if self.text[self.at] != closer:
            self.at += 1
            self.skip(_BLANK)
        if self.text[self.at] == closer:
            self.at += 1
            return False
        return True


def _plain_key(raw: str) -> str:
    if raw[0] not in "\"'":
        return raw
    if "\\" not in raw or raw[0] == "'":
        return raw[1:-1]
    return next(iter(tomli.loads(f"{raw} = 0")))
