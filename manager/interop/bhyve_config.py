# SPDX-License-Identifier: BSD-2-Clause
"""bhyve's configuration: named values, as bhyve_config(5) has them, and the file they stand in.

A file has a `name=value` in each line; lines that begin with `#` are comments. In a value
`%(name)` stands for the value of another name, and `%%` for a percent sign.
"""

from __future__ import annotations

import re

from manager.errors import UsageError
from manager.text.quoting import quoted

Settings = dict[str, str]
"""Names such as "memory.size" or "pci.0.4.0.device", in the order in which they were first set."""

_LINE = re.compile(r"([A-Za-z0-9_.-]+)=(.*)")
_REFERENCE = re.compile(r"%%|%\(([^)]*)\)|%")
_DEPTH = 16


def parse(text: str, where: str) -> Settings:
    """The values of a configuration file, not expanded. Raises UsageError with file and line."""
    settings: Settings = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise UsageError(
                f"{where}:{number}: not a NAME=VALUE", help="a comment begins with `#`"
            )
        settings[match[1]] = match[2]
    return settings


def expand(settings: Settings) -> Settings:
    """The same with all references replaced. Raises UsageError for one that leads nowhere."""
    return {name: _expanded(name, settings, 0) for name in settings}


def _expanded(name: str, settings: Settings, depth: int) -> str:
    if depth == _DEPTH:
        raise UsageError(f"{name}: its value refers to itself")

    def one(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        if match[1] is None:
            raise UsageError(
                f"{name}: a lone % in {settings[name]!r}", help="write %% for a percent sign"
            )
        if match[1] not in settings:
            raise UsageError(f"{name}: %({match[1]}) is not set")
        return _expanded(match[1], settings, depth + 1)

    return _REFERENCE.sub(one, settings[name])


def to_text(settings: Settings) -> str:
    """The lines of a configuration file. Raises UnquotableError."""
    return "".join(f"{name}={quoted(value, 'setting')}\n" for name, value in settings.items())
