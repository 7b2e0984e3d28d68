# SPDX-License-Identifier: BSD-2-Clause
"""Looking for a pattern in text that is still being written, without reading it all again.

A search begins `NEAR` characters before what is new. A line that is finished is searched once in
all; so is a text when something was found. A match that is longer than `NEAR`, on a line that is
not finished or over several lines, is found by a look from afar, which goes `Pattern.reach` back;
who looks takes one every few looks, as long as `behind` says that there is more to see.
"""

from __future__ import annotations

from manager.text.pattern import Match, Pattern

NEAR = 4096
"""Characters before the new text that each look reads again."""


class Search:
    r"""One pattern, looked for in a text that grows at its end and is forgotten at its beginning.

    >>> from manager.text.pattern import compile_pattern
    >>> search = Search(compile_pattern("login: $"))
    >>> search.look("debian lo")
    >>> search.look("debian login: ")
    <Match span=(7, 14) match='login: '>
    """

    __slots__ = ("_seen", "behind", "pattern", "position")

    def __init__(self, pattern: Pattern, position: int = 0) -> None:
        self.pattern = pattern
        self.position = position
        """Where a match may begin, in characters since the text's beginning."""
        self.behind = False
        """Whether the last look left out where a long match may begin."""
        self._seen = position

    def look(self, text: str, start: int = 0, *, afar: bool = False) -> Match | None:
        """The first match in `text`, whose first character is number `start`."""
        seen = max(self._seen - start, 0)
        first = max(self.position - start, seen - self.pattern.reach, 0)
        if afar or (not self.pattern.crosses_lines and text.find("\n", seen) >= 0):
            begin = first
        else:
            begin = max(first, seen - NEAR)
        context = min(begin, 1)  # what ^ and \b look at
        self._seen = start + len(text)
        self.behind = begin > first
        if self.pattern.search(text[begin - context :], context) is not None:
            return self.pattern.search(text, first)
        if not self.behind and not self.pattern.crosses_lines:
            self.position = max(self.position, start + text.rfind("\n") + 1)
        return None

    def go_on(self, position: int) -> None:
        """Look for the next match, after the one that ends at `position`."""
        self.position = self._seen = position
        self.behind = False
