# SPDX-License-Identifier: BSD-2-Clause
"""The lock file: what the guest can see, written down next to the machine file.

It is for version control. `validate --locked` fails when the guest would see something else, so
that such a change is deliberate and shows in a review.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from manager import files
from manager.config.diagnostics import Diagnostic, Span
from manager.config.files import show_path
from manager.config.load import LoadedModel
from manager.config.scan import KeyPath
from manager.graph.identity import Difference, differences, identity, identity_hash
from manager.graph.nodes import Graph
from manager.graph.places import model_path

SCHEMA = 1


def lock_path(graph: Graph) -> Path:
    """NAME.lock in the directory of the machine file."""
    return graph.source.with_name(f"{graph.name}.lock")


def lock_text(graph: Graph) -> str:
    """The lock file of a graph: JSON, one fact a line, so that a change is a short diff."""
    content = {
        "schema": SCHEMA,
        "about": "what the guest sees of this machine; written by `vmmgr plan --lock`",
        "hash": identity_hash(graph),
        "identity": identity(graph),
    }
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def check_lock(loaded: LoadedModel, graph: Graph) -> list[Diagnostic]:
    """In what the graph is not what its lock file says; empty when they agree."""
    path = lock_path(graph)
    top = loaded.origins.key_span(())
    update = "if this is meant, update it with `vmmgr plan --lock`"
    locked = _read(path)
    if isinstance(locked, str):
        help = "write it with `vmmgr plan --lock`"
        return [Diagnostic("VM081", f"{show_path(path)}: {locked}", top, help=help)]
    return [
        Diagnostic(
            "VM080",
            difference.render(path.name, "the machine file"),
            _place(_current_subject(difference), loaded, graph),
            help=update,
        )
        for difference in differences(locked, identity(graph))
    ]


def _read(path: Path) -> dict[str, Any] | str:
    """The identity in a lock file, or what is wrong with the file."""
    content = read_content(path)
    if isinstance(content, str):
        return content
    locked: Any = content.get("identity")
    return locked if is_identity(locked) else "its identity is damaged"


def read_content(path: Path) -> dict[str, Any] | str:
    """All of a lock file, or what is wrong with the file."""
    try:
        content: Any = files.read_json(path, files.TEXT)
    except OSError as error:
        return "no lock file" if isinstance(error, FileNotFoundError) else str(error.strerror)
    except ValueError:
        return "not JSON"
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        return f"not a lock file of version {SCHEMA}"
    return content


def is_identity(plain: object) -> bool:
    """Whether it has the form of what `identity` returns, as far as `differences` looks."""
    devices = plain.get("devices") if isinstance(plain, dict) else None
    return isinstance(devices, dict) and all(isinstance(one, dict) for one in devices.values())


def _current_subject(difference: Difference) -> str:
    return str(difference.current) if difference.kind == "moved" else difference.subject


def _place(subject: str, loaded: LoadedModel, graph: Graph) -> Span:
    """Where the machine file says what differs; its first line when it does not."""
    name = subject.partition(" ")[0]
    ids = [node.id for node in graph.devices if name == node.id or name.startswith(f"{node.id}.")]
    if ids:
        node = graph.device(max(ids, key=len))
        assert node is not None
        return loaded.origins.key_span(model_path(node))
    path: KeyPath = tuple(name.split("."))
    return loaded.origins.value_span(path)
