# SPDX-License-Identifier: BSD-2-Clause
"""What decides how a machine runs, as a name for what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manager import cbor
from manager.version import of_code

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from manager.bus.record import Plain
    from manager.graph.nodes import Graph

ENGINE = "unicorn-2.1.4"


def key_of(graph: Graph, others: Mapping[str, Plain]) -> str:
    """A name for a run of `graph`: of what the guest can see, the files it boots from, vmmgr.

    `others` is what decides it besides: its input and where it begins.
    Raises HostError when a boot file cannot be read.
    """
    from blake3 import blake3

    from manager.graph.identity import identity_hash
    from manager.machine.boot_images import of_file
    from manager.replay.recorder import images_of

    facts = cbor.encode(
        {
            "identity": identity_hash(graph),
            "images": [*images_of(graph).values(), *map(of_file, _parts(graph))],
            "vmmgr": of_code(),
            "engine": ENGINE,
            **others,
        }
    )
    return blake3(facts).hexdigest(16)


def _parts(graph: Graph) -> list[Path]:
    """The files that devices are built from."""
    return [path for node in graph.devices for path in node.reads]
