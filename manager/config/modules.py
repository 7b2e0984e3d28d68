# SPDX-License-Identifier: BSD-2-Clause
"""Multiboot modules as the machine file writes them: a path, then the text that the kernel gets."""

from __future__ import annotations

from pathlib import Path


def split_module(text: str) -> tuple[str, str]:
    """A module's path and what follows it; a path with spaces stands in quotes.

    >>> split_module('"a b.img" root=/')
    ('a b.img', 'root=/')
    """
    if text.startswith('"') and (end := text.find('"', 1)) > 0:
        return text[1:end], text[end + 1 :].lstrip()
    name, _, arguments = text.partition(" ")
    return name, arguments.lstrip()


def join_module(path: Path | str, arguments: str) -> str:
    """The inverse of `split_module`.

    >>> join_module("a b.img", "root=/")
    '"a b.img" root=/'
    """
    quoted = f'"{path}"' if " " in str(path) else str(path)
    return f"{quoted} {arguments}".rstrip()
