# SPDX-License-Identifier: BSD-2-Clause
"""Disks that devices and the boot order name: they are there, and in one place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from manager.config.diagnostics import Diagnostic
from manager.config.load import LoadedModel
from manager.config.suggest import did_you_mean
from manager.devices.claims import SHARES, DiskUse
from manager.devices.node import DeviceNode
from manager.graph.nodes import FirmwareBoot, Graph
from manager.graph.places import Places


def check(loaded: LoadedModel, graph: Graph) -> Iterator[Diagnostic]:
    """Every error about disks."""
    judge = _Judge(loaded, graph)
    yield from judge.disks()
    yield from judge.images()
    yield from judge.boot_order()


class _Judge(Places):
    def __init__(self, loaded: LoadedModel, graph: Graph) -> None:
        super().__init__(loaded)
        self.graph = graph
        self.pci = [node for node in graph.devices if node.id.startswith("slots.")]

    def disks(self) -> Iterator[Diagnostic]:
        """A disk is for one device, and has to be there."""
        names = [disk.name for disk in self.graph.disks]
        users: dict[str, list[tuple[DeviceNode, str]]] = {}
        for node in self.pci:
            for use in node.disks:
                users.setdefault(use.name, []).append((node, use.key))
                if use.name not in names:
                    yield self._missing(node, use, names)
        for name, uses in users.items():
            if len(uses) > 1:
                first, *others = uses
                what, same = _what(name), "folder" if name.startswith(SHARES) else "image"
                yield Diagnostic(
                    "VM064",
                    f"{what} is in {len(uses)} places",
                    self.key(*first, "here ..."),
                    tuple(self.key(*other, "... and here") for other in others),
                    help=f"give each a {what.split()[0]} of its own; two may have the same "
                    f"`{same}`",
                )

    def _missing(self, node: DeviceNode, use: DiskUse, names: list[str]) -> Diagnostic:
        is_share = use.name.startswith(SHARES)
        start = SHARES if is_share else ""
        alike = [n.removeprefix(start) for n in names if n.startswith(SHARES) == is_share]
        return Diagnostic(
            "VM068" if is_share else "VM063",
            f"the machine has no {_what(use.name)}",
            self.key(node, use.key),
            help=did_you_mean(use.name.removeprefix(start), alike)
            or f"add `[{use.name if is_share else f'disks.{use.name}'}]`",
        )

    def images(self) -> Iterator[Diagnostic]:
        """An image that is written directly is that disk's alone."""
        users: dict[str, list[str]] = {}
        for disk in self.graph.disks:
            if disk.image is not None:
                users.setdefault(os.path.realpath(disk.image), []).append(disk.name)
        direct = {disk.name for disk in self.graph.disks if disk.mode == "direct"}
        for path, names in users.items():
            if len(names) > 1 and direct.intersection(names):
                first, *others = (("disks", name, "image") for name in names)
                yield Diagnostic(
                    "VM066",
                    f"{Path(path).name} is the image of {len(names)} disks, and one writes it",
                    self.origins.value_span(first, "here ..."),
                    tuple(self.origins.value_span(other, "... and here") for other in others),
                    help='take mode = "overlay", or give each a copy',
                )

    def boot_order(self) -> Iterator[Diagnostic]:
        """It names disks that are there, each once."""
        boot = self.graph.boot
        if not isinstance(boot, FirmwareBoot):
            return
        known = {name: path for node in self.pci for name, path in node.boot_paths().items()}
        seen: set[str] = set()
        for index, name in enumerate(boot.order):
            path = known.get(name)
            if path is not None and path not in seen:
                seen.add(path)
                continue
            every = f"it can boot from {', '.join(sorted(known))}" if known else "add a disk"
            if path is not None:
                message, help = f'the boot order has "{name}" twice', "keep one of them"
            elif self.graph.device(name) is not None:
                message, help = f"firmware cannot boot from {name}", every
            else:
                message = f'the machine has no "{name}" to boot from'
                help = did_you_mean(name, list(known)) or every
            span = self.origins.value_span(("boot", "boot-order", index))
            yield Diagnostic("VM065", message, span, help=help)


def _what(name: str) -> str:
    """A disk by the name of a graph, as messages call it."""
    is_share = name.startswith(SHARES)
    return f'share "{name.removeprefix(SHARES)}"' if is_share else f'disk "{name}"'
