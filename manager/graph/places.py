# SPDX-License-Identifier: BSD-2-Clause
"""Where the parts of a graph stand in the machine file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manager.config.diagnostics import Span
from manager.config.load import LoadedModel
from manager.config.scan import KeyPath
from manager.devices.node import DeviceNode, SerialEnd

if TYPE_CHECKING:
    from manager.config.labs import LoadedLab


def model_path(node: DeviceNode) -> KeyPath:
    """Where a node of the machine file stands in the model."""
    section, _, name = node.id.partition(".")
    return (section, name)


class Places:
    """The places of one file's devices."""

    def __init__(self, loaded: LoadedModel | LoadedLab) -> None:
        self.origins = loaded.origins

    def table(self, node: DeviceNode, label: str = "") -> Span:
        """The heading of a device's table."""
        return self.origins.key_span(model_path(node), label)

    def key(self, node: DeviceNode, key: str, label: str = "") -> Span:
        """The value of a key of a device, or else the heading of its table."""
        path = (*model_path(node), key)
        known = path in self.origins.places
        return self.origins.value_span(path, label) if known else self.table(node, label)

    def backend(self, end: SerialEnd, label: str = "") -> Span:
        """The backend of a serial port, or else the heading of the device's table."""
        path = (*model_path(end.node), *end.key)
        known = path in self.origins.places
        return self.origins.value_span(path, label) if known else self.table(end.node, label)
