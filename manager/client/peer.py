# SPDX-License-Identifier: BSD-2-Clause
"""Who is at the other end of a control socket, as the kernel says."""

from __future__ import annotations

import os
import socket
import stat
import struct
from pathlib import Path

from manager import users
from manager.errors import HostError
from manager.lazy import dataclass

_CREDENTIALS = struct.Struct("3i")
"""Linux's struct ucred: process, user, group (unix(7))."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that connected, or that listened, at the moment when it did."""

    pid: int
    uid: int

    @property
    def is_trusted(self) -> bool:
        """Whether it is this user's, or root's."""
        return users.is_trusted(self.uid)


class UntrustedError(HostError):
    """What answers at a machine's socket is another user's."""


def peer_of(connection: socket.socket) -> Peer:
    """The process at the other end. Raises OSError."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _gid = _CREDENTIALS.unpack(data)
    return Peer(pid, uid)


def require_own_socket(path: Path) -> None:
    """Raise UntrustedError when the socket, or the directory that it is in, is another user's.

    What is not there, and what is no socket, is for `connect` to say. Raises OSError.
    """
    if fault := users.directory_fault(path.parent.stat()):
        raise _untrusted(path, f"{path.parent} {fault}")
    found = path.lstat()
    if stat.S_ISSOCK(found.st_mode) and not users.is_trusted(found.st_uid):
        raise _untrusted(path, f"it belongs to {users.named(found.st_uid)}")


def require_own_peer(path: Path, connection: socket.socket) -> None:
    """Raise UntrustedError when another user's process listens at `path`. Raises OSError."""
    peer = peer_of(connection)
    if not peer.is_trusted:
        raise _untrusted(path, f"process {peer.pid} there is of {users.named(peer.uid)}")


def _untrusted(path: Path, fault: str) -> UntrustedError:
    return UntrustedError(
        f"{path}: this is not a machine of {users.named(os.geteuid())}: {fault}",
        help="run vmmgr as the user who started the machine; after `su` or `sudo -E`, "
        "look at XDG_RUNTIME_DIR and VMMGR_STATE_HOME",
    )
