# SPDX-License-Identifier: BSD-2-Clause
"""What the process that runs a machine still has to reach once the guest runs.

Ports, sockets and files that it writes are open by then. What is left is its own state, the files
that a rewind opens anew, sockets that are connected again, and Python's library, which is imported
when it is first needed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from socket import AF_INET, AF_INET6, AF_UNIX, SOCK_DGRAM, SOCK_STREAM
from typing import TYPE_CHECKING

import manager
from manager.devices import host
from manager.devices.nic import NicNode
from manager.graph.boot_files import boot_files
from manager.sandbox.landlock import (
    KEEP,
    MAKE_SOCK,
    READ,
    READ_DIR,
    READ_FILE,
    REMOVE_FILE,
    WRITE,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from manager.devices.node import DeviceNode
    from manager.graph.nodes import Graph

_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")
_CLOCK = ("/etc/localtime", "/usr/share/zoneinfo")
_PROCESS = ("/proc/self", "/sys/devices/system/cpu/online", "/dev/urandom")
_NAMES = (
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
)
"""What a look-up of a host's name reads."""
_DNS = 53


class Reach:
    """What is left of the host."""

    __slots__ = ("connect_to", "paths", "sockets")

    def __init__(self) -> None:
        self.paths: dict[str, int] = {}
        """The rights of Landlock that are left on a file, or on a directory and all that is in it.
        """
        self.sockets: set[tuple[int, int]] = set()
        """Families and types of new sockets."""
        self.connect_to: set[int] = set()
        """TCP ports."""

    def allow(self, path: Path | str, rights: int) -> None:
        """Leave these rights as well."""
        key = os.fspath(path)
        self.paths[key] = self.paths.get(key, 0) | rights

    def add(self, other: Reach) -> None:
        """Leave what `other` leaves as well."""
        for path, rights in other.paths.items():
            self.allow(path, rights)
        self.sockets |= other.sockets
        self.connect_to |= other.connect_to


def of_code() -> Reach:
    """What any Python program reads: its library, shared libraries, packages, the time zone."""
    reach = Reach()
    for path in (*_LIBRARIES, *_CLOCK, *_PROCESS, *_code()):
        reach.allow(path, READ)
    reach.allow("/dev/null", READ | WRITE)
    return reach


def of_machine(graph: Graph) -> Reach:
    """What this machine needs beside its state."""
    reach = of_code()
    for path in boot_files(graph.boot).values():
        reach.allow(path, READ_FILE)
    for disk in graph.disks:
        if disk.image is not None:
            reach.allow(disk.image, READ_FILE | (WRITE if disk.mode == "direct" else 0))
        if disk.folder is not None and not disk.is_share:  # that one is frozen
            reach.allow(disk.folder, READ)
    for node in graph.devices:
        for path in node.reads:
            reach.allow(path, READ_FILE)
        if node.CODE:
            reach.allow(_package_of(node), READ)
        for end in node.serial_ends:
            _allow_backend(reach, end.backend)
        if isinstance(node, NicNode) and node.network is not None:
            _allow_network(reach, node.network)
    if graph.gdb is not None and graph.gdb.is_path:
        _allow_removal(reach, Path(graph.gdb.listen))
    if graph.debug.trace_file is not None:
        reach.allow(graph.debug.trace_file, WRITE)
    for path in graph.sandbox.read:
        reach.allow(path, READ)
    for path in graph.sandbox.write:
        reach.allow(path, KEEP)
    return reach


def _allow_backend(reach: Reach, backend: host.Backend) -> None:
    match backend:
        case host.Pty(Path() as path) | host.Unix(listen=Path() as path):
            _allow_removal(reach, path)
        case host.Unix(connect=Path()):
            reach.sockets.add((AF_UNIX, SOCK_STREAM))
        case host.Pipe(path):
            # The end that is left when the other one goes listens anew.
            reach.allow(path.parent, READ_DIR | MAKE_SOCK | REMOVE_FILE)
            reach.sockets.add((AF_UNIX, SOCK_STREAM))
        case host.Tcp(connect=str() as address):
            name, _, port = address.rpartition(":")
            reach.connect_to.add(int(port))
            reach.sockets |= {(AF_INET, SOCK_STREAM), (AF_INET6, SOCK_STREAM)}
            if not _is_number(name):
                reach.connect_to.add(_DNS)
                reach.sockets |= {(AF_INET, SOCK_DGRAM), (AF_INET6, SOCK_DGRAM)}
                for file in _NAMES:
                    reach.allow(file, READ_FILE)


def _allow_network(reach: Reach, network: host.Network) -> None:
    if network.capture is not None:
        reach.allow(network.capture, READ_FILE)  # by a rewind, which looks where to cut it
    match network:
        case host.SocketNetwork(listen=Path() as path):
            _allow_removal(reach, path)
        case host.SocketNetwork(connect=Path()):
            reach.sockets.add((AF_UNIX, SOCK_STREAM))


def _allow_removal(reach: Reach, path: Path) -> None:
    """A link or a socket is removed at the end; the right to is that of the directory."""
    reach.allow(path.parent, REMOVE_FILE)


def _is_number(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _code() -> Iterator[str]:
    """Where modules are imported from that were not needed until now."""
    yield f"{sys.base_prefix}/lib"
    yield os.path.dirname(manager.__file__)  # noqa: PTH120  no need for Paths
    yield from filter(_is_library, sys.path)


def _package_of(node: DeviceNode) -> str:
    """Where the code of a device is that is not vmmgr's: a folder for one in a package."""
    module = sys.modules[type(node).__module__.partition(".")[0]]
    file = str(module.__file__)
    return os.path.dirname(file) if hasattr(module, "__path__") else file  # noqa: PTH120


def _is_library(entry: str) -> bool:
    """Whether a place for modules is Python's or a package manager's, not a folder of work."""
    base = os.path.basename(entry)  # noqa: PTH119
    return base.endswith(("-packages", "lib-dynload", ".zip")) or entry.startswith(
        (sys.base_prefix + "/lib/", sys.prefix + "/lib/")
    )
