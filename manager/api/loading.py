# SPDX-License-Identifier: BSD-2-Clause
"""Reading a machine file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from manager.api.machine import Definition
from manager.errors import UsageError

Settings = Mapping[str, object]


def load(path: str | os.PathLike[str], set: Settings | None = None) -> Definition:
    """Read and check a machine file. `set` changes variables and keys, as `--set` does.

    Raises UsageError with every error in the file, or when a file to boot from is missing.

    >>> load("machines/hello.toml", set={"memory.size": "32M"}).memory_size
    33554432
    """
    from manager.graph.build import load_graph

    settings = [f"{key}={_text(value)}" for key, value in (set or {}).items()]
    return Definition(load_graph(Path(path), settings, require_files=True))


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise UsageError(f"{value!r} cannot be set", help="give text, a number, True or False")
