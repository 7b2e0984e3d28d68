# SPDX-License-Identifier: BSD-2-Clause
"""Finding every record type and every device class, without a list to maintain."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

from manager.bus.record import Record
from manager.devices.device import Device

PACKAGES = ("manager.bus", "manager.cpu", "manager.devices", "manager.machine")


def _import_all() -> None:
    for package in PACKAGES:
        found = importlib.import_module(package)
        for module in pkgutil.walk_packages(found.__path__, f"{package}."):
            if not module.name.endswith("._native"):
                importlib.import_module(module.name)


def _below(kind: type[Any]) -> Iterator[type[Any]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def record_types() -> dict[str, type[Record]]:
    """TYPE -> class of every record that a snapshot may hold."""
    _import_all()
    return {
        kind.TYPE: kind
        for kind in sorted(_below(Record), key=lambda kind: kind.__module__)
        if kind.TYPE and kind.__module__.startswith(PACKAGES)
    }


def device_types() -> set[type[Device[Any]]]:
    """Every device class that can be built."""
    _import_all()
    return {
        kind
        for kind in _below(Device)
        if kind.__module__.startswith("manager.") and not inspect.isabstract(kind)
    }
