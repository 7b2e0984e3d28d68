# SPDX-License-Identifier: BSD-2-Clause
"""The page of each diagnostic: what it means, a wrong and a right machine file.

A page is pages/CODE.md: a heading, text, and TOML blocks. Each block comes after a line that says
what it is: "Wrong:" and "Right:" (", with `ARGUMENTS`" when the command line matters), "With
`FILE`:" for a file that they extend, "The lock file is that of:".
"""

from __future__ import annotations

import re
from importlib.resources import files

from manager.lazy import dataclass

_BLOCK = re.compile(
    r"^(?P<kind>Wrong|Right|With|The lock file is that of)(?:,? (?:with )?`(?P<detail>[^`]+)`)?:\n"
    r"(?:```(?:toml|python)\n(?P<text>.*?)```\n)?",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Example:
    """A block of a page."""

    kind: str
    """Wrong, Right, With, or "The lock file is that of"."""
    detail: str
    """Arguments of a wrong or right example, the name of a file; may be empty."""
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """All that a page says."""

    code: str
    title: str
    text: str
    examples: tuple[Example, ...]


def page(code: str) -> Page | None:
    """The page of a code, or None when there is none."""
    path = files("manager.config") / "pages" / f"{code}.md"
    if not re.fullmatch(r"VM[0-9]{3}", code) or not path.is_file():
        return None
    _, _, content = path.read_text(encoding="utf-8").partition("-->\n")
    heading, _, rest = content.partition("\n\n")
    first = _BLOCK.search(rest)
    text = rest[: first.start()] if first is not None else rest
    examples = tuple(
        Example(match["kind"], match["detail"] or "", match["text"] or "")
        for match in _BLOCK.finditer(rest)
    )
    return Page(code, heading.partition(": ")[2], text.strip(), examples)


def render(shown: Page, *, colour: bool = False) -> str:
    """A page for a terminal, without a newline at its end."""
    bold, green, red, end = ("\x1b[1m", "\x1b[32m", "\x1b[31m", "\x1b[0m") if colour else [""] * 4
    inks = {"Wrong": red, "Right": green}
    parts = [f"{bold}{shown.code}: {shown.title}{end}", shown.text]
    for example in shown.examples:
        ink = inks.get(example.kind, "")
        comma = "," if example.kind in inks else ""
        with_ = " with" if example.kind in inks else ""
        detail = f"{comma}{with_} {example.detail}" if example.detail else ""
        lines = [f"    {line}".rstrip() for line in example.text.splitlines()]
        parts.append("\n".join([f"{ink}{example.kind}{detail}:{end if ink else ''}", *lines]))
    return "\n\n".join(parts)
