# SPDX-License-Identifier: BSD-2-Clause
"""From a network's description in the graph to the peer."""

from __future__ import annotations

from pathlib import Path

from manager.devices import host
from manager.network.passt import Passt
from manager.network.peer import Peer
from manager.network.socket_peer import SocketPeer


def make(network: host.Network | None, mac: bytes) -> Peer | None:
    """The peer that the machine file asks for, opened but not attached yet.

    None for a card that is alone, or on a link, which is a lab's. Raises HostError for what the
    host refuses.
    """
    match network:
        case host.UserNetwork(forward):
            return Passt(mac, forward)
        case host.SocketNetwork(listen=Path() as path):
            return SocketPeer(path, listens=True)
        case host.SocketNetwork(connect=Path() as path):
            return SocketPeer(path, listens=False)
    return None
