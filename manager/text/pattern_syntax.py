# SPDX-License-Identifier: BSD-2-Clause
r"""Regular expressions as people write them for Python's `re`, translated for RE2.

RE2 searches in time that is linear in the
text, so it has no back-references, look-around, possessive quantifiers, atomic groups and
conditions; these are refused here, with the character where they begin. So is a pattern that
would be large. What is accepted is what RE2 accepts, which is therefore not asked before the
first search (docs/decisions/0014-re2.md).

Long because the syntax has that many forms, and each is accepted or refused here.

Syntax: https://docs.python.org/3/library/re.html, https://github.com/google/re2/wiki/Syntax.
`^` and `$` match at lines, and `\d`, `\w`, `\s` and `\b` know ASCII only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from typing import NamedTuple

from manager.lazy import dataclass
from manager.text.pattern_reader import CATEGORIES, DECIMAL, OCTAL, Reader

LONGEST = 10_000
"""Characters of a pattern."""
DEEPEST = 100
"""Groups within groups."""
MOST_REPEATS = 1000
"""The largest count in braces, those of groups around it multiplied in: RE2's own limit."""
LARGEST = 4096
"""Instructions of RE2 that a pattern may take, as estimated here."""

_ANY, _CLASS, _RANGE, _WIDE_RANGE = 10, 10, 2, 24
"""Instructions of a dot, a character class, each range in it and each one beyond ASCII."""
_SPACE = " \t\n\r\v\f"
_OVER_LINES = frozenset("sDW")
"""Those that match a line feed."""
_LOOK = {"=": "look-ahead", "!": "look-ahead", "<=": "look-behind", "<!": "look-behind"}
_INSTEAD_OF_LOOKING = (
    "patterns are searched in linear time, without looking around: wait for the text itself, or in "
    "two steps"
)


@dataclass(frozen=True, slots=True)
class Translated:
    """A pattern in RE2's syntax, and what is known of it without RE2."""

    text: str
    groups: int
    names: dict[str, int]
    crosses_lines: bool
    """Whether a match may hold a line feed."""
    matches_nothing: bool
    """Whether it matches where there is no text."""


class _Part(NamedTuple):
    """A piece of a pattern: `repeats` is the largest product of counts in it."""

    text: str
    empty: bool
    size: int
    repeats: int = 1


@dataclass(slots=True)
class _Flags:
    ignore_case: bool = False
    dot_all: bool = False
    verbose: bool = False


@dataclass(slots=True)
class _Parser(Reader):
    flags: _Flags = field(default_factory=_Flags)
    depth: int = 0
    groups: int = 0
    names: dict[str, int] = field(default_factory=dict)
    crosses_lines: bool = False

    # -- expressions ----------------------------------------------------------------------

    def whole(self) -> Translated:
        if len(self.source) > LONGEST:
            raise self.error(f"a pattern of more than {LONGEST} characters", LONGEST)
        self.global_flags()
        part = self.alternatives()
        if self.at < len(self.source):
            raise self.error("a parenthesis that was not opened", self.at, r"write \) for itself")
        flags = "m" + "i" * self.flags.ignore_case + "s" * self.flags.dot_all
        return Translated(
            f"(?{flags}:{part.text})", self.groups, self.names, self.crosses_lines, part.empty
        )

    def global_flags(self) -> None:
        """`(?i)` and the like, which stand at the beginning only."""
        while True:
            self.skip()
            begin = self.at
            if not (self.take("(?") and self.at < len(self.source)):
                self.at = begin
                return
            letters = self.letters()
            if not letters or not self.take(")"):
                self.at = begin
                return
            self.set_flags(letters, on=True, since=begin)

    def letters(self) -> str:
        begin = self.at
        while self.at < len(self.source) and self.source[self.at].isascii():
            if not self.source[self.at].isalpha():
                break
            self.at += 1
        return self.source[begin : self.at]

    def set_flags(self, letters: str, *, on: bool, since: int) -> None:
        for letter in letters:
            if letter == "i":
                self.flags.ignore_case = on
            elif letter == "s":
                self.flags.dot_all = on
            elif letter == "x":
                self.flags.verbose = on
            elif letter == "m" and not on:
                raise self.error("^ and $ always match at lines here", since, r"\A and \Z do not")
            elif letter not in "mau" or not on:
                raise self.error(f"{letter!r} is no flag that can be set here", since)

    def skip(self) -> None:
        """Comments, and what a verbose pattern has between its parts."""
        while self.at < len(self.source):
            begin = self.at
            if self.take("(?#"):
                end = self.source.find(")", self.at)
                if end < 0:
                    raise self.error("a comment without its end", begin)
                self.at = end + 1
            elif self.flags.verbose and self.source[self.at] in _SPACE:
                self.at += 1
            elif self.flags.verbose and self.take("#"):
                end = self.source.find("\n", self.at)
                self.at = len(self.source) if end < 0 else end + 1
            else:
                return

    def alternatives(self) -> _Part:
        branches = [self.sequence()]
        while self.take("|"):
            branches.append(self.sequence())
        return _Part(
            "|".join(branch.text for branch in branches),
            any(branch.empty for branch in branches),
            self.bounded(sum(branch.size + 1 for branch in branches), self.at),
            max(branch.repeats for branch in branches),
        )

    def sequence(self) -> _Part:
        parts: list[_Part] = []
        while True:
            self.skip()
            if self.at == len(self.source) or self.source[self.at] in "|)":
                return _Part(
                    "".join(part.text for part in parts),
                    all(part.empty for part in parts),
                    self.bounded(sum(part.size for part in parts), self.at),
                    max((part.repeats for part in parts), default=1),
                )
            begin = self.at
            parts.append(self.quantified(self.atom(), begin))

    def bounded(self, size: int, position: int) -> int:
        if size > LARGEST:
            raise self.error(
                "the pattern becomes too large", min(position, len(self.source)), "repeat less"
            )
        return size

    # -- atoms ----------------------------------------------------------------------------

    def atom(self) -> _Part:
        begin = self.at
        char = self.next("", begin)
        if char == "(":
            return self.group(begin)
        if char == "[":
            return self.char_class(begin)
        if char == ".":
            self.crosses_lines |= self.flags.dot_all
            return _Part(".", False, _ANY)
        if char in "^$":
            return _Part(char, True, 1)
        if char == "\\":
            return self.escape(begin)
        if char in "*+?" or (char == "{" and self.counts(begin) is not None):
            raise self.error("nothing to repeat", begin, f"write \\{char} for itself")
        return self.literal(char, begin)

    def literal(self, char: str, begin: int) -> _Part:
        self.crosses_lines |= char == "\n"
        return _Part(self.quoted(char, begin), False, len(char.encode()) + 1)

    def escape(self, begin: int) -> _Part:
        char = self.next("a backslash", begin)
        if char in "bB":
            return _Part(f"\\{char}", char == "B", 1)
        if char in "AZz":
            return _Part("\\A" if char == "A" else "\\z", True, 1)
        if char in CATEGORIES:
            self.crosses_lines |= char in _OVER_LINES
            return _Part(f"[{CATEGORIES[char]}]", False, _CLASS)
        if char in "123456789":
            number = self.source[self.at - 1 : self.at + 2]
            if len(number) == 3 and all(digit in OCTAL for digit in number):
                self.at -= 1
                return self.literal(self.octal(begin), begin)
            raise self.error(
                "a back-reference", begin, "patterns are searched in linear time, without these"
            )
        return self.literal(self.character(char, begin), begin)

    def char_class(self, begin: int) -> _Part:
        negated = self.take("^")
        text, size, feed = "", _CLASS, False
        first = True
        while first or not self.take("]"):
            first = False
            low_at = self.at
            low = self.member(begin)
            high = low
            if self.peek("-") and not self.peek("-]"):
                self.at += 1
                high = self.member(begin)
                if len(low) != 1 or len(high) != 1 or low > high:
                    raise self.error("a range that has no order", low_at, r"write \- for a dash")
            if len(low) != 1:
                text += CATEGORIES[low[1]]
                feed |= low[1] in _OVER_LINES
                continue
            feed |= low <= "\n" <= high
            size += _WIDE_RANGE if high > "\x7f" else _RANGE
            text += self.quoted(low, low_at)
            text += f"-{self.quoted(high, low_at)}" if high != low else ""
        self.crosses_lines |= feed != negated
        return _Part(f"[{'^' * negated}{text}]", False, size)

    # -- groups ---------------------------------------------------------------------------

    def group(self, begin: int) -> _Part:
        if self.depth == DEEPEST:
            raise self.error(f"more than {DEEPEST} groups within each other", begin)
        with self.group_flags():
            opening = self.opening(begin)
            self.depth += 1
            part = self.alternatives()
            self.depth -= 1
        if not self.take(")"):
            raise self.error("a parenthesis without its end", begin, r"write \( for itself")
        return _Part(f"{opening}{part.text})", part.empty, part.size + 2, part.repeats)

    @contextmanager
    def group_flags(self) -> Iterator[None]:
        """What is set inside of a group does not hold after it."""
        kept = self.flags
        self.flags = _Flags(kept.ignore_case, kept.dot_all, kept.verbose)
        yield
        self.flags = kept

    def opening(self, begin: int) -> str:
        """What follows an opening parenthesis; returns the beginning of a group for RE2."""
        if not self.take("?"):
            self.groups += 1
            return "("
        if self.take(":"):
            return "(?:"
        if self.take("P<"):
            return self.named(begin)
        for mark, name in _LOOK.items():
            if self.take(mark):
                raise self.error(name, begin, _INSTEAD_OF_LOOKING)
        refused = {"P=": "a back-reference", ">": "an atomic group", "(": "a condition"}
        for mark, name in refused.items():
            if self.take(mark):
                help = "patterns are searched in linear time, without these"
                raise self.error(name, begin, help)
        return self.flagged(begin)

    def named(self, begin: int) -> str:
        end = self.source.find(">", self.at)
        name = self.source[self.at : max(end, self.at)]
        if not name.isidentifier() or name in self.names:
            raise self.error(f"{name!r} is no name for a group, or it has one already", begin)
        self.at = end + 1
        self.groups += 1
        self.names[name] = self.groups
        return "("

    def flagged(self, begin: int) -> str:
        on = self.letters()
        has_minus = self.take("-")
        off = self.letters() if has_minus else ""
        if has_minus and not off:
            raise self.error("a flag is missing", begin)
        if on and not off and self.take(")"):
            raise self.error("flags for the whole pattern stand at its beginning", begin)
        if not (on or off) or not self.take(":"):
            raise self.error("(? begins nothing that is known", begin, r"write \( for itself")
        if set(on) & set(off):
            raise self.error("a flag that is set and taken away", begin)
        self.set_flags(on, on=True, since=begin)
        self.set_flags(off, on=False, since=begin)
        flags = "".join(letter for letter in "is" if letter in on)
        without = "".join(letter for letter in "is" if letter in off)
        return f"(?{flags}{'-' * bool(without)}{without}:"

    # -- repetition -----------------------------------------------------------------------

    def counts(self, begin: int) -> tuple[int, int | None] | None:
        """The counts in braces whose opening one is taken; None if they are just characters."""
        back = self.at
        low = self.digits(DECIMAL, LONGEST)
        high: str | None = low
        if self.take(","):
            high = self.digits(DECIMAL, LONGEST) or None
        elif not low:
            self.at = back
            return None
        if not self.take("}"):
            self.at = back
            return None
        if max(len(low), len(high or "")) > 9:
            raise self.error(f"a count of more than {MOST_REPEATS}", begin)
        least, most = int(low or 0), None if high is None else int(high)
        if most is not None and most < least:
            raise self.error("the greater count comes first", begin)
        return least, most

    def quantifier(self) -> tuple[int, int | None] | None:
        for mark, counts in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.take(mark):
                return counts
        begin = self.at
        if self.take("{"):
            counts_ = self.counts(begin)
            if counts_ is None:
                self.at = begin
            return counts_
        return None

    def quantified(self, part: _Part, begin: int) -> _Part:
        self.skip()
        at = self.at
        counts = self.quantifier()
        if counts is None:
            return part
        if part.text in ("^", "$", "\\b", "\\B", "\\A", "\\z"):
            raise self.error("nothing to repeat", at, "a position is there once")
        least, most = counts
        lazy = self.take("?")
        if not lazy and self.take("+"):
            help = "patterns are searched in linear time; leave the last + away"
            raise self.error("a possessive quantifier", at, help)
        self.skip()
        again = self.at
        if self.quantifier() is not None:
            raise self.error("a repeat of a repeat", again, "put a group around the first")
        times = max(least if most is None else most, 1)
        repeats = part.repeats * times
        if repeats > MOST_REPEATS:
            raise self.error(f"more than {MOST_REPEATS} repeats", at, "* and + have no limit")
        mark = f"{{{least},{'' if most is None else most}}}{'?' * lazy}"
        size = self.bounded((part.size + 1) * (times + (most is None)), begin)
        return _Part(part.text + mark, part.empty or least == 0, size, repeats)


def translate(
    source: str, *, ignore_case: bool = False, dot_all: bool = False, verbose: bool = False
) -> Translated:
    r"""Translate a pattern. Raises PatternError.

    >>> translate("login: $").text
    '(?m:login: $)'
    >>> translate("(?=x)")
    Traceback (most recent call last):
    manager.text.pattern_reader.PatternError: look-ahead, at character 1
    """
    return _Parser(source, flags=_Flags(ignore_case, dot_all, verbose)).whole()
