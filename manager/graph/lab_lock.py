# SPDX-License-Identifier: BSD-2-Clause
"""The lock file of a lab: what its guests can see, of machines and of wires; see graph.lock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from manager.config.diagnostics import Diagnostic
from manager.config.files import show_path
from manager.config.labs import LoadedLab
from manager.graph.identity import differences, identity, lab_identity_hash, lab_wires
from manager.graph.lab import Lab
from manager.graph.lock import SCHEMA, is_identity, read_content


def lock_path(lab: Lab) -> Path:
    """NAME.lock in the directory of the lab file."""
    return lab.source.with_name(f"{lab.name}.lock")


def lock_text(lab: Lab) -> str:
    """The lock file of a lab: JSON, one fact a line, so that a change is a short diff."""
    content = {
        "schema": SCHEMA,
        "about": "what the guests see of this lab; written by `vmmgr plan --lock`",
        "hash": lab_identity_hash(lab),
        "machines": {name: identity(graph) for name, graph in lab.members.items()},
        "wires": lab_wires(lab),
    }
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def check_lock(loaded: LoadedLab, lab: Lab) -> list[Diagnostic]:
    """In what the lab is not what its lock file says; empty when they agree."""
    path = lock_path(lab)
    top = loaded.origins.key_span(())
    locked = _read(path)
    if isinstance(locked, str):
        help = "write it with `vmmgr plan --lock`"
        return [Diagnostic("VM081", f"{show_path(path)}: {locked}", top, help=help)]
    machines, wires = locked
    found = [
        (item.render(path.name, "the lab file"), tuple(item.subject.split(".")))
        for item in differences(wires, lab_wires(lab))
    ]
    for name in dict.fromkeys([*machines, *lab.members]):
        where = ("machines", name)
        if name not in lab.members:
            found.append((f"machine {name} is in {path.name} alone", ("machines",)))
        elif name not in machines:
            found.append((f"machine {name} is not in {path.name}", where))
        else:
            items = differences(machines[name], identity(lab.members[name]))
            told = (item.render(path.name, "its machine file") for item in items)
            found += [(f"{name}: {text}", where) for text in told]
    update = "if this is meant, update it with `vmmgr plan --lock`"
    return [
        Diagnostic("VM080", text, loaded.origins.value_span(where), help=update)
        for text, where in found
    ]


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]] | str:
    """Machines and wires of a lock file, or what is wrong with the file."""
    content = read_content(path)
    if isinstance(content, str):
        return content
    machines, wires = content.get("machines"), content.get("wires")
    if not isinstance(machines, dict) or not all(map(is_identity, machines.values())):
        return "its machines are damaged"
    if not isinstance(wires, dict) or not all(
        isinstance(kind, dict) and all(isinstance(wire, dict) for wire in kind.values())
        for kind in wires.values()
    ):
        return "its wires are damaged"
    return machines, wires
