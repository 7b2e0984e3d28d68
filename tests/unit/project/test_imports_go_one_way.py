# SPDX-License-Identifier: BSD-2-Clause
"""The house of architecture: who may import whom. Nobody looks backwards."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "manager"

MAY_IMPORT = {
    "errors": set(),
    "text": set(),
    "version": set(),
    "bus": {"errors"},
    "devices": {"bus"},
    "config": {"errors"},
    "graph": {"config", "errors", "bus"},  # bus: for the name of plain values only
    "storage": {"errors"},
    "backends": {"errors", "graph"},
    "cpu": {"bus", "errors"},
    "boot": {"bus", "cpu", "config", "graph", "errors"},
    "snapshot": {"bus", "errors", "storage", "version"},
    "machine": {"boot", "bus", "cpu", "devices", "errors", "graph", "snapshot"},
    "replay": {"machine", "snapshot", "graph", "config", "bus", "errors", "version"},
    "debug": {"machine", "cpu", "graph", "bus", "errors"},
    "interop": {"config", "graph", "errors"},
    "state": {"replay", "machine", "snapshot", "graph", "errors", "version"},
    "client": {"backends", "errors"},
    "vmm": {"client", "state", "replay", "debug", "machine", "backends", "snapshot"}
    | {"config", "graph", "bus", "errors", "version"},
    "cli": {"client", "vmm", "state", "replay", "machine", "snapshot", "interop", "boot", "cpu"}
    | {"config", "graph", "bus", "errors", "version"},
    "api": {"machine", "snapshot", "cpu", "config", "graph", "bus", "errors"},
    "testing": {"api", "config", "graph", "errors", "version"},
}
"""The rooms below each room. An import for a type counts like any other; there are no exceptions.

`cli -> client, vmm -> state, replay -> machine -> {cpu, devices, boot, snapshot} -> bus`, and
`config -> graph`, which a machine is made from. `vmm` speaks the protocol that `client` defines.
"""

ANYWHERE = {"text"}
"""What imports nothing and may be imported by all."""


def imports(path: Path) -> set[str]:
    """The parts of the package that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module]
            if node.module == "manager":
                names = [f"manager.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("manager.")}
    return found


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_imports_only_what_its_part_may(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if part in ("__init__", "__main__"):
        return

    assert imports(path) - {part, *ANYWHERE} <= MAY_IMPORT[part]


def test_there_is_no_cycle() -> None:
    seen: set[str] = set()

    def visit(part: str, above: tuple[str, ...]) -> None:
        assert part not in above, f"cycle: {' -> '.join([*above, part])}"
        if part not in seen:
            for below in MAY_IMPORT[part]:
                visit(below, (*above, part))
            seen.add(part)

    for part in MAY_IMPORT:
        visit(part, ())
