# SPDX-License-Identifier: BSD-2-Clause
"""Landlock: what a process may do with which files and ports from now on, and nothing else.

Rights and versions are those of <linux/landlock.h>; a kernel is asked only for what it knows.
"""

from __future__ import annotations

from collections.abc import Mapping

OLDEST = 2
"""Of version 1 no file can be renamed from one directory into another, whatever is allowed."""


# Rights on a file, or on all that is in a directory.
EXECUTE = 1 << 0
WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
REMOVE_DIR = 1 << 4
REMOVE_FILE = 1 << 5
MAKE_CHAR = 1 << 6
MAKE_DIR = 1 << 7
MAKE_REG = 1 << 8
MAKE_SOCK = 1 << 9
MAKE_FIFO = 1 << 10
MAKE_BLOCK = 1 << 11
MAKE_SYM = 1 << 12
REFER = 1 << 13
TRUNCATE = 1 << 14
IOCTL_DEV = 1 << 15

READ = READ_FILE | READ_DIR
WRITE = WRITE_FILE | TRUNCATE
KEEP = READ | WRITE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM | REFER
"""Everything that vmmgr does in a directory of its own."""

BIND_TCP = 1 << 0
CONNECT_TCP = 1 << 1
ABSTRACT_SOCKETS = 1 << 0
SIGNALS = 1 << 1

_FILES_SINCE = {2: 1 << 14, 3: 1 << 15, 5: 1 << 16}
"""Version -> one past the rights on files that it knows."""
_NET_SINCE = 4
_SCOPES_SINCE = 6


def version() -> int:
    """What the kernel has. Raises OSError when it has none."""
    from manager.sandbox import _native

    return _native.landlock_abi()


def restrict(version: int, paths: Mapping[str, int], connect_to: frozenset[int]) -> None:
    """Leave this thread, and those that it starts, `paths` and TCP connections to these ports.

    Places that are not there are left out. Raises OSError.
    """
    from manager.sandbox import _native

    known = max(mask for since, mask in _FILES_SINCE.items() if since <= version) - 1
    net = BIND_TCP | CONNECT_TCP if version >= _NET_SINCE else 0
    scoped = ABSTRACT_SOCKETS | SIGNALS if version >= _SCOPES_SINCE else 0
    size = 24 if scoped else 16 if net else 8
    rights = {path: wanted & known for path, wanted in paths.items()}
    ports = dict.fromkeys(connect_to, CONNECT_TCP) if net else {}
    _native.landlock(size, known, net, scoped, rights, ports)
