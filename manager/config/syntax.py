# SPDX-License-Identifier: BSD-2-Clause
"""What tomli refuses, in the words of those who write machine files."""

from __future__ import annotations

import re

from manager.config.habits import advice
from manager.config.scan import Region
from manager.lazy import dataclass

_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_KEY = re.compile(r"^[ \t]*([^=\n]*)=", re.MULTILINE)
_HEADER = re.compile(r"^[ \t]*(\[\[?[^\]\n]*\]?\])", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SyntaxFault:
    """What is wrong and where; `before` is an earlier place that it disagrees with."""

    message: str
    at: Region
    help: str | None = None
    before: Region | None = None


def explain(text: str, report: str) -> SyntaxFault:
    """The fault in `text` that tomli's message `report` is about."""
    match = _POSITION.search(report)
    message = report[: match.start()] if match else report
    offset = len(text.rstrip("\n"))
    if match and match[1]:
        lines = text.split("\n")
        offset = sum(len(line) + 1 for line in lines[: int(match[1]) - 1]) + int(match[2]) - 1
    at = Region(offset, offset + 1)
    start = text.rfind("\n", 0, offset) + 1
    if message.startswith(("Cannot declare", "Cannot overwrite")):
        return _repeated(text, start) or SyntaxFault("this is written twice", at)
    if message.startswith(("Cannot mutate", "Cannot redefine")):
        return SyntaxFault("this adds to a table or an array that is complete already", at)
    line = text[start:].split("\n", 1)[0]
    if (help := advice(line, offset - start, message)) is not None:
        return SyntaxFault(_lower(message), at, help)
    if message == r"Illegal character '\n'":
        return SyntaxFault("text without its closing quotation mark", at)
    if message.startswith("Illegal character"):
        return SyntaxFault(_lower(message), at, r"write it as an escape such as \u001b")
    return SyntaxFault(_lower(message), at)


def _repeated(text: str, start: int) -> SyntaxFault | None:
    """The table or key on the line at `start`, if an earlier line has the same."""
    header = _HEADER.match(text, start)
    if header is not None:
        span = Region(header.start(1), header.end(1))
        for earlier in _HEADER.finditer(text, 0, start):
            if earlier[1] == header[1]:
                before = Region(earlier.start(1), earlier.end(1))
                help = "put its keys under the first one"
                return SyntaxFault(f"{header[1]} is written twice", span, help, before)
        return SyntaxFault(f"{header[1]} is something else already", span)
    key = _KEY.match(text, start)
    if key is None:
        return None
    name = key[1].rstrip()
    span = Region(key.start(1), key.start(1) + len(name))
    for earlier in _KEY.finditer(text, text.rfind("\n[", 0, start) + 1, start):
        if earlier[1].rstrip() == name:
            before = Region(earlier.start(1), earlier.start(1) + len(name))
            return SyntaxFault(f"`{name}` is set twice", span, "keep one of them", before)
    return SyntaxFault(f"`{name}` is set already", span)


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
