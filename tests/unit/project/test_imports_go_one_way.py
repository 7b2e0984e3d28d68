# SPDX-License-Identifier: BSD-2-Clause
"""Which part of the package may import which."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "manager"

MAY_IMPORT = {
    "cbor": {"bus"},
    "errors": set(),
    "files": set(),
    "names": set(),
    "scratch": set(),
    "settings": set(),
    "text": set(),
    "users": set(),
    "lazy": set(),
    "version": set(),
    "bus": {"errors"},
    "devices": {"bus", "errors"},
    "config": {"devices", "errors"},
    "graph": {"cbor", "config", "devices", "errors", "bus"},  # bus: plain values, where RAM lies
    "kinds": {"devices", "config", "bus", "storage", "errors", "version"},
    "storage": {"errors"},
    "backends": {"errors", "devices"},
    "network": {"backends", "errors", "devices"},
    "cpu": {"bus", "errors"},
    "boot": {"bus", "cpu", "config", "devices", "graph", "errors"},
    "snapshot": {"cbor", "bus", "errors", "storage", "version"},
    "stores": {"snapshot", "bus", "errors", "version"},
    "machine": {"boot", "bus", "cpu", "kinds", "devices", "errors", "graph", "screen", "snapshot"}
    | {"storage"},
    "screen": {"kinds"},
    "replay": {
        "cpu",
        "lab",
        "storage",
        "cbor",
        "machine",
        "snapshot",
        "graph",
        "config",
        "bus",
        "errors",
        "version",
    },
    "lab": {"cbor", "cpu", "machine", "snapshot", "network", "graph", "bus", "errors"},
    "debug": {"machine", "cpu", "graph", "bus", "errors"},
    "interop": {"boot", "config", "devices", "graph", "errors"},
    "state": {"cbor", "bus", "lab", "replay", "machine", "snapshot", "storage", "graph", "errors"}
    | {"version"},
    "sandbox": {"devices", "graph"},
    "client": {"backends", "errors"},
    "vmm": {"client", "state", "replay", "debug", "machine", "backends", "network", "snapshot"}
    | {"lab", "sandbox", "screen", "storage", "config", "devices", "graph", "bus", "errors"}
    | {"version"},
    "cli": {
        "stores",
        "client",
        "vmm",
        "state",
        "replay",
        "machine",
        "snapshot",
        "interop",
        "boot",
        "cpu",
    }
    | {"network", "sandbox", "screen", "storage", "cbor", "config", "devices", "graph", "bus"}
    | {"lab", "errors", "version"},
    "api": {"screen", "machine", "snapshot", "cpu", "config", "graph", "bus", "errors"},
    "testing": {"api", "machine", "kinds", "devices", "storage", "bus", "config", "graph", "errors"}
    | {"cbor", "screen", "version"},
}
"""The rooms below each room. An import for a type counts like any other; there are no exceptions.

`cli -> client, vmm -> state, replay -> machine -> {cpu, kinds, boot, snapshot} -> bus`, and
`config -> graph`, which a machine is made from. `vmm` speaks the protocol that `client` defines.

`devices` is the modules in that folder: what a device kind is, and the registry that finds kinds.
The folders in it are `kinds`: no room names one but `machine`, which wires the interrupt
controllers.
"""

ANYWHERE = {"files", "lazy", "names", "scratch", "settings", "text", "users"}
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
        found |= {room(name.split(".")[1:]) for name in names if name.startswith("manager.")}
    return found


def room(path: Sequence[str]) -> str:
    """The room of a module, from the parts of its name below the package."""
    is_kind = path[0] == "devices" and len(path) > 1 and (PACKAGE / "devices" / path[1]).is_dir()
    return "kinds" if is_kind else path[0]


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_imports_only_what_its_part_may(path: Path) -> None:
    part = room(path.relative_to(PACKAGE).with_suffix("").parts)
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
