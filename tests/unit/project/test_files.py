# SPDX-License-Identifier: BSD-2-Clause
"""Files of the package: none imports itself over others, none is too long to be read at once."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LONGEST = 300
"""Lines. A longer file says why, in a sentence of its docstring that begins with REASON."""
REASON = "Long because"


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted((ROOT / "manager").rglob("*.py"))}


def imported_by(path: Path) -> set[str]:
    """The files that a file imports, for types or at run time, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                within = f"{node.module}.{alias.name}"
                found.add(within if within in FILES else node.module)
    return found & FILES.keys() - {name_of(path)}


def test_no_file_imports_itself_over_others() -> None:
    graph = {name: imported_by(path) for name, path in FILES.items()}

    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(reversed(error.args[1]))}")

    assert set(order) == FILES.keys()


@pytest.mark.parametrize("name", FILES)
def test_a_file_can_be_read_at_once_or_says_why_not(name: str) -> None:
    text = FILES[name].read_text()
    lines = text.count("\n")

    assert lines <= LONGEST or REASON in (ast.get_docstring(ast.parse(text)) or "")
