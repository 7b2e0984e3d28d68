# SPDX-License-Identifier: BSD-2-Clause
"""Whether the files that devices are built from are there."""

from __future__ import annotations

from collections.abc import Iterator

from manager import files
from manager.config.diagnostics import Diagnostic
from manager.config.files import show_path
from manager.config.load import LoadedModel
from manager.graph.nodes import Graph


def missing(loaded: LoadedModel, graph: Graph) -> Iterator[Diagnostic]:
    """What is wrong with them, at the tables of their devices."""
    for node in graph.devices:
        for path, help in node.reads.items():
            try:
                files.look(path)
                continue
            except (FileNotFoundError, NotADirectoryError):
                code, reason = "VM070", "no such file"
            except OSError as error:
                code, reason = "VM071", str(error.strerror)
            section, _, name = node.id.partition(".")
            span = loaded.origins.value_span((section, name, "device"))
            told = f"{node.id}: {show_path(path)}: {reason}"
            yield Diagnostic(code, told, span, help=help)
