# SPDX-License-Identifier: BSD-2-Clause
"""A device's claims, asked of its kind."""

from __future__ import annotations

from typing import Any

from manager.config import in_python
from manager.config.diagnostics import ConfigError
from manager.config.load import LoadedModel
from manager.devices import own, registry
from manager.devices.node import DeviceNode, Place


def claimed(loaded: LoadedModel, name: str, table: Any, place: Place) -> DeviceNode:
    """The node of the kind `name` for a checked table.

    Raises ConfigError where a kind that is not vmmgr's fails to make one.
    """
    kind = registry.find(name)
    try:
        node = kind.claim(table, place)
        if not isinstance(node, kind) or Place(node.id, node.parent, node.address) != place:
            raise TypeError("claim() is to return cls(*place, ...)")
        node = node.in_machine(loaded.model.name)
    except Exception as error:
        fault = own.blame(error) or own.definition(kind, error)
        if fault is None:
            raise
        section, _, slot = place.id.partition(".")
        named = loaded.origins.value_span((section, slot, "device"), "named here")
        raise ConfigError([in_python.diagnostic(fault, own.DOCUMENTATION, named)]) from error
    return node
