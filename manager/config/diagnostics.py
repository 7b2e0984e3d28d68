# SPDX-License-Identifier: BSD-2-Clause
"""What is wrong with a machine file, where, and what to do: as text, as JSON, for GitHub."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from manager.config.codes import TITLES, is_warning
from manager.errors import UsageError
from manager.lazy import dataclass
from manager.text.shown import shown, shown_lines


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of one line of a file."""

    file: str
    line: int
    """From 1."""
    column: int
    """From 1, in characters."""
    length: int
    """In characters; at least 1."""
    text: str
    """The whole line."""
    label: str = ""

    def at_character(self, value: str, offset: int) -> Span:
        """One character of the string `value` that stands here; the whole if it is not as it is.

        >>> Span("a.toml", 1, 7, 5, "key = 'a(b'").at_character("a(b", 1).column
        9
        """
        raw = self.text[self.column - 1 : self.column - 1 + self.length]
        quote = 3 if raw[:3] in ('"' * 3, "'" * 3) else 1
        if raw[quote : quote + offset + 1] != value[: offset + 1]:
            return self
        return replace(self, column=self.column + quote + offset, length=1)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `code` is a key of TITLES and decides between error and warning."""

    code: str
    message: str
    primary: Span
    secondary: tuple[Span, ...] = ()
    help: str | None = None

    @property
    def severity(self) -> str:
        """`error` or `warning`."""
        return "warning" if is_warning(self.code) else "error"


class ConfigError(UsageError):
    """A machine file with errors. `diagnostics` holds them all; str() is the whole report."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = in_order(diagnostics)
        super().__init__(render(self.diagnostics))

    def report(self, *, colour: bool = False) -> str:
        """All of them; each says for itself whether it is an error."""
        return render(self.diagnostics, colour=colour)


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """By file and place, so that a report does not depend on the order of the checks."""
    unique = dict.fromkeys(diagnostics)
    return tuple(sorted(unique, key=lambda d: (d.primary.file, d.primary.line, d.primary.column)))


def errors(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Those that make the machine file unusable."""
    return tuple(item for item in diagnostics if item.severity == "error")


LONGEST = 200
"""Characters that are shown of a line; few that people write are longer."""
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_LONG_WORD = re.compile(rf"[^\s/]{{{LONGEST},}}")


_PLAIN = dict.fromkeys(("error", "warning", "bold", "frame", "help", "end"), "")
_COLOURS = {
    "error": "\x1b[1;31m",
    "warning": "\x1b[1;33m",
    "bold": "\x1b[1m",
    "frame": "\x1b[1;34m",
    "help": "\x1b[1;36m",
    "end": "\x1b[0m",
}
"""Escape sequences of a terminal (ECMA-48, SGR)."""


def render(diagnostics: Iterable[Diagnostic], *, colour: bool = False) -> str:
    """The report for a terminal, without a newline at its end."""
    styles = _COLOURS if colour else _PLAIN
    return "\n\n".join(_render(item, styles) for item in diagnostics)


def _render(item: Diagnostic, styles: Mapping[str, str]) -> str:
    spans = (item.primary, *item.secondary)
    width = max(len(str(span.line)) for span in spans)
    loud, bold, frame, end = styles[item.severity], styles["bold"], styles["frame"], styles["end"]
    message = shown_lines(_shortened(item.message))
    lines = [f"{loud}{item.severity}[{item.code}]{end}{bold}: {message}{end}"]
    for number, span in enumerate(spans):
        arrow, mark = ("-->", "^") if number == 0 else (":::", "-")
        text, column = _around(span)
        before = text[: column - 1]
        pad = "".join("\t" if char == "\t" else " " * _columns(char) for char in before)
        under = text[column - 1 : column - 1 + span.length]
        marks = mark * max(1, sum(map(_columns, under)))
        ink = loud if number == 0 else frame
        place = f"{shown(span.file)}:{span.line}:{span.column}"
        lines.append(f"{' ' * width}{frame}{arrow}{end} {place}")
        if not span.text:
            continue
        lines += [
            f"{' ' * width} {frame}|{end}",
            f"{frame}{span.line:>{width}} |{end} {shown_lines(text)}".rstrip(),
            f"{' ' * width} {frame}|{end} {pad}{ink}{f'{marks} {shown(span.label)}'.rstrip()}{end}",
        ]
    if item.help:
        help = shown_lines(_shortened(item.help))
        lines.append(f"{' ' * width} {frame}={end} {styles['help']}help{end}: {help}")
    return "\n".join(lines)


def _around(span: Span) -> tuple[str, int]:
    """What is shown of a line, and the column there; of a long one the part with the fault."""
    start = max(0, span.column - 1 - LONGEST // 4)
    if len(span.text) <= LONGEST:
        start = 0
    cut, more = start > 0, len(span.text) > start + LONGEST
    text = span.text[start : start + LONGEST]
    return f"{ELLIPSIS * cut}{text}{ELLIPSIS * more}", span.column - start + cut


def _shortened(text: str) -> str:
    """A message, with the middle of a word in it that is long left out."""
    return _LONG_WORD.sub(lambda match: f"{match[0][:40]}{ELLIPSIS}{match[0][-20:]}", text)


def _columns(char: str) -> int:
    """Terminal columns that a character takes."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def to_json(item: Diagnostic) -> dict[str, object]:
    """A diagnostic as JSON values; the primary span comes first."""
    return {
        "code": item.code,
        "severity": item.severity,
        "title": TITLES[item.code],
        "message": item.message,
        "help": item.help,
        "spans": [
            {
                "file": span.file,
                "line": span.line,
                "column": span.column,
                "length": span.length,
                "label": span.label,
            }
            for span in (item.primary, *item.secondary)
        ],
    }


def to_github(diagnostics: Sequence[Diagnostic]) -> str:
    """Workflow commands that GitHub shows next to the line they are about."""
    return "\n".join(_github(item) for item in diagnostics)


def _github(item: Diagnostic) -> str:
    span = item.primary
    text = item.message if item.help is None else f"{item.message}\nhelp: {item.help}"
    place = (
        f"file={_escape(span.file, ':,')},line={span.line},endLine={span.line},"
        f"col={span.column},endColumn={span.column + span.length},title={item.code}"
    )
    return shown(f"::{item.severity} {place}::{_escape(text)}")


def _escape(text: str, more: str = "") -> str:
    for char in "%\r\n" + more:
        text = text.replace(char, f"%{ord(char):02X}")
    return text
