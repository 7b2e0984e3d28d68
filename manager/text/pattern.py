# SPDX-License-Identifier: BSD-2-Clause
"""Patterns that are searched in linear time, whatever they are and whatever the text is.

The engine is RE2 (docs/decisions/0014-re2.md). It is imported at the first search: reading and
checking a pattern, which `validate` does, needs none of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from manager.lazy import dataclass
from manager.text.pattern_reader import PatternError
from manager.text.pattern_syntax import translate

if TYPE_CHECKING:
    from typing import Protocol

    class _Found(Protocol):
        def span(self, group: int = 0) -> tuple[int, int]: ...

    class _Engine(Protocol):
        programsize: int

        def search(self, text: str, pos: int) -> _Found | None: ...


__all__ = ["Match", "Pattern", "PatternError", "any_of", "compile_pattern"]

_STEPS = 4 << 20
"""Characters times instructions that one search may take: about 0.1 s in RE2's slowest way."""
_FARTHEST, _NEAREST = 65536, 1024
"""Bounds of Pattern.reach."""


@dataclass(frozen=True, slots=True)
class Match:
    """Where a pattern matched. Its methods are those of `re.Match`."""

    string: str
    """The text that was searched."""
    spans: Sequence[tuple[int, int]]
    """Begin and end of the match and of each group; -1 for a group that took no part."""
    names: Mapping[str, int]
    """The numbers of the groups with names."""

    def span(self, group: int | str = 0) -> tuple[int, int]:
        """Begin and end of a group. Raises IndexError where there is none."""
        number = self.names.get(group) if isinstance(group, str) else group
        if number is None or not 0 <= number < len(self.spans):
            raise IndexError("no such group")
        return self.spans[number]

    def start(self, group: int | str = 0) -> int:
        """Where a group begins."""
        return self.span(group)[0]

    def end(self, group: int | str = 0) -> int:
        """Where a group ends."""
        return self.span(group)[1]

    def __getitem__(self, group: int | str) -> str | Any:
        start, end = self.span(group)
        return self.string[start:end] if start >= 0 else None

    def group(self, *groups: int | str) -> str | Any:
        """The text of a group, of the whole match without one; a tuple of several."""
        if len(groups) > 1:
            return tuple(self[group] for group in groups)
        return self[groups[0] if groups else 0]

    def groups(self, default: Any = None) -> tuple[str | Any, ...]:
        """The texts of all groups."""
        texts = [self[number] for number in range(1, len(self.spans))]
        return tuple(default if text is None else text for text in texts)

    def groupdict(self, default: Any = None) -> dict[str, str | Any]:
        """The texts of the groups with names."""
        return {name: default if self[name] is None else self[name] for name in self.names}

    def __repr__(self) -> str:
        return f"<Match span={self.spans[0]} match={self[0]!r}>"


class Pattern:
    """A pattern. `compile_pattern` makes it, and says what it may hold."""

    __slots__ = (
        "_counted",
        "_engine",
        "_translated",
        "crosses_lines",
        "matches_nothing",
        "names",
        "source",
    )

    def __init__(
        self,
        source: str,
        translated: str,
        *,
        names: Mapping[str, int],
        crosses_lines: bool,
        matches_nothing: bool,
        counted: tuple[int, int],
    ) -> None:
        """Use `compile_pattern`. `counted`: from and to which group of the engine groups count."""
        self.source = source
        """As its author wrote it."""
        self.names = names
        self.crosses_lines = crosses_lines
        """Whether a match may hold a line feed."""
        self.matches_nothing = matches_nothing
        """Whether it matches where there is no text."""
        self._translated = translated
        self._counted = range(*counted)
        self._engine: _Engine | None = None

    def search(self, text: str, position: int = 0) -> Match | None:
        """The first match that begins at `position` or after it; `^` looks at what is before."""
        found = self._compiled().search(text, position)
        if found is None:
            return None
        return Match(text, [found.span(group) for group in self._counted], self.names)

    @property
    def reach(self) -> int:
        """Characters back from new text that may be searched again and again."""
        return max(_NEAREST, min(_FARTHEST, _STEPS // self._compiled().programsize))

    def line(self) -> Pattern:
        """Matches a whole line, with the line feed behind it, in which this matches; its groups."""
        return self._within(rf"([^\n]*?(?:{self._translated})[^\n]*)\n", whole=1)

    def at_end(self) -> Pattern:
        """Matches where this does at the end of the text; its groups."""
        return self._within(rf"(?:{self._translated})\z", whole=0)

    def _within(self, translated: str, *, whole: int) -> Pattern:
        """A larger pattern with this in it; the match is its group number `whole`."""
        return Pattern(
            self.source,
            translated,
            names=self.names,
            crosses_lines=True,
            matches_nothing=False,
            counted=(whole, whole + len(self._counted)),
        )

    def _compiled(self) -> _Engine:
        if self._engine is None:
            self._engine = _engine_for(self._translated)
        return self._engine

    def __repr__(self) -> str:
        return f"compile_pattern({self.source!r})"


def compile_pattern(pattern: str | re.Pattern[str]) -> Pattern:
    r"""A pattern in the syntax of `re`, or one of its objects: `^` and `$` match at lines.

    Raises PatternError for what is wrong, too large, or cannot be searched in linear time.

    >>> compile_pattern(r"(?P<user>\w+) login: $").search("debian login: ")["user"]
    'debian'
    """
    flags, source = 0, pattern
    if isinstance(pattern, re.Pattern):
        flags, source = pattern.flags, pattern.pattern
    if not isinstance(source, str):
        raise PatternError("a pattern of bytes", repr(source), 0, "write it without the b")
    translated = translate(
        source,
        ignore_case=bool(flags & re.IGNORECASE),
        dot_all=bool(flags & re.DOTALL),
        verbose=bool(flags & re.VERBOSE),
    )
    return Pattern(
        source,
        translated.text,
        names=translated.names,
        crosses_lines=translated.crosses_lines,
        matches_nothing=translated.matches_nothing,
        counted=(0, translated.groups + 1),
    )


def any_of(patterns: Sequence[Pattern]) -> Pattern:
    """Matches where one of them does, the first of them that does; it has no groups."""
    return Pattern(
        "|".join(pattern.source for pattern in patterns),
        "|".join(f"(?:{pattern._translated})" for pattern in patterns),
        names={},
        crosses_lines=any(pattern.crosses_lines for pattern in patterns),
        matches_nothing=any(pattern.matches_nothing for pattern in patterns),
        counted=(0, 1),
    )


def _engine_for(translated: str) -> _Engine:
    import re2

    options = re2.Options()
    options.log_errors = False
    return cast("_Engine", re2.compile(translated, options))
