# SPDX-License-Identifier: BSD-2-Clause
"""Lab files, as the verbs read them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from manager import files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from manager.graph.lab import Lab


def is_lab(file: Path) -> bool:
    """Whether a file declares a lab; what cannot be read is left to those that say why."""
    try:
        if b"machines" not in files.read(file, files.TEXT):
            return False
    except OSError:
        return False
    from manager.config import labs  # which loads pydantic

    return labs.is_lab(file)


def load(file: Path, settings: Sequence[str] = ()) -> Lab:
    """The lab of a file; warnings are printed. Raises UsageError for a wrong file."""
    from manager.cli.colour import has_colour
    from manager.config.diagnostics import render
    from manager.graph.labs import load_lab

    colour = has_colour(sys.stderr)
    return load_lab(
        file,
        settings,
        on_warning=lambda warning: print(render([warning], colour=colour), file=sys.stderr),
    )
