# SPDX-License-Identifier: BSD-2-Clause
"""Which device kinds there are. A kind is found by its name, and only then imported.

The kind "virtio-blk" is the module manager.devices.virtio_blk: a file, or a folder whose __init__
declares it. No list has to be kept; SHARED names those that live in a folder of another name.
Kinds of other packages, and of files that a machine file names, are found here too.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from types import ModuleType

from manager.devices import own
from manager.devices.node import DeviceNode

PACKAGE = "manager.devices"
ENTRY_POINTS = "vmmgr.devices"
"""Where installed packages declare kinds: NAME = "package.module:Class"."""
SHARED = {
    "isa-uart": "uart",
    "pci-uart": "uart",
    **dict.fromkeys(("com1", "com2", "com3", "com4"), "uart"),
}
"""Kinds, and tables of [lpc], whose module does not have their name."""
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def short_name(type: str) -> str:
    """What people call a kind: its folder, where several kinds share one."""
    return SHARED.get(type, type)


class UnknownKindError(LookupError):
    """There is no device kind of that name."""


def find(name: str) -> type[DeviceNode]:
    """The kind of that TYPE, or that machine files call so; "/path/file.py:Class" is a user's own.

    Raises UnknownKindError, and own.KindError for what should be a kind and is none.
    """
    return own.load(name) if own.is_own(name) else _installed(name)


@cache
def _installed(name: str) -> type[DeviceNode]:
    """A kind that ships, or that an installed package has."""
    module = _module(name)
    for kind in _declared(module) if module is not None else ():
        if name == kind.TYPE or name in kind.NAMES:
            return kind
    from importlib.metadata import entry_points  # which takes its time

    for point in entry_points(group=ENTRY_POINTS, name=name):
        return own.adopt(point)
    raise UnknownKindError(name)


def forget() -> None:
    """Look again for what installed packages have, when it is next asked for."""
    _installed.cache_clear()


def names(section: str) -> dict[str, type[DeviceNode]]:
    """The kinds of a section by the names that machine files have for them, in order.

    This imports every declaration: it is for messages, schemas and documentation.
    """
    found = {
        name: kind
        for kind in kinds()
        if section == kind.SECTION
        for name in (kind.NAMES or (kind.TYPE,))
    }
    return dict(sorted(found.items()))


@cache
def kinds() -> tuple[type[DeviceNode], ...]:
    """Every kind that ships, by TYPE."""
    package = importlib.import_module(PACKAGE)
    modules = (
        importlib.import_module(f"{PACKAGE}.{item.name}")
        for item in pkgutil.iter_modules(package.__path__)
    )
    found = {kind.TYPE: kind for module in modules for kind in _declared(module)}
    return tuple(found[type] for type in sorted(found))


def import_all() -> None:
    """Import the code of every kind that ships, so that their record types are known."""
    package = importlib.import_module(PACKAGE)
    for item in pkgutil.walk_packages(package.__path__, f"{PACKAGE}."):
        if not item.name.endswith(".table"):
            importlib.import_module(item.name)


def _module(name: str) -> ModuleType | None:
    if _NAME.fullmatch(name) is None:
        return None
    path = f"{PACKAGE}.{SHARED.get(name, name).replace('-', '_')}"
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        return None


def _declared(module: ModuleType) -> Iterator[type[DeviceNode]]:
    """The kinds that a module declares itself."""
    for value in vars(module).values():
        own = isinstance(value, type) and value.__module__ == module.__name__
        if own and issubclass(value, DeviceNode) and value.TYPE:
            yield value
