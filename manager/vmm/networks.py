# SPDX-License-Identifier: BSD-2-Clause
"""The network cards of a running machine, each with its peer on the host."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from manager.devices.nic import NicNode
from manager.devices.nic_port import LINK, PULLED, REPLUGGED, ROOM
from manager.errors import HostError
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.machine.machine import Machine
    from manager.machine.network_port import NetworkPort
    from manager.network.pcap import Capture
    from manager.network.peer import Peer, Side
    from manager.vmm.events import Events

CUT = "connections that were open when the machine was saved are cut"


@dataclass(slots=True)
class _Card:
    """One network card and what it is plugged into."""

    node: NicNode
    port: NetworkPort
    peer: Peer | None = None
    sent: int = 0
    received: int = 0
    """Frames, since this process owns the machine."""
    capture: Capture | None = None
    note: str = ""
    """What its user may want to know."""
    in_flight: int = 0
    """Frames that are stamped and have not reached the card."""
    held: bool = False
    unplug: Callable[[str], None] = field(default=lambda why: None)


class NetworkConnections:
    """What the cards of `machine` are plugged into. Nothing is, before `connect`."""

    def __init__(
        self, machine: Machine, events: Events, say: Callable[[str], None] = lambda text: None
    ) -> None:
        self._machine = machine
        self._events = events
        self._say = say
        graph: Graph = machine.graph
        ports: Mapping[str, NetworkPort] = machine.network_ports
        nodes = (node for node in graph.devices if isinstance(node, NicNode))
        self._cards = {node.id: _Card(node, ports[node.id]) for node in nodes}

    def connect(self, selector: selectors.BaseSelector, *, anew: bool) -> None:
        """Start all peers; captures begin `anew`, or go on. Raises HostError.

        Those that run then are closed with the connections.
        """
        if not self._cards:
            return
        from manager.network.factory import make
        from manager.network.pcap import Capture

        for card in self._cards.values():
            try:
                card.peer = make(card.node.network, card.node.address_bytes)
            except HostError as error:
                raise HostError(f"{card.node.id}: {error.message}", help=error.help) from None
            path = card.node.network.capture if card.node.network is not None else None
            if path is not None:
                card.capture = Capture(path, self._machine.graph.epoch, anew=anew)
            self._listen(card)
            if card.peer is not None:
                card.peer.attach(selector, self._side(card))

    def _side(self, card: _Card) -> Side:
        from manager.network.peer import Side

        def receive(frame: bytes) -> None:
            card.in_flight += 1
            card.port.feed(frame)
            self._balance(card)

        def lost(why: str) -> None:
            if card.peer is not None:
                card.note = f"{card.peer.describe()} failed: {why}"
                card.peer.close()
                card.peer = None
                self._machine.inputs.post(LINK, card.node.id, PULLED)
                self._say(f"{card.node.id}: {card.note}; its link is down")
                self._events.publish("link-down", card=card.node.id, message=card.note)

        return Side(receive, lost)

    def _listen(self, card: _Card) -> None:
        def heard(frame: bytes) -> None:
            card.sent += 1
            if card.peer is not None:
                card.peer.send(frame)
                if not card.in_flight and not card.port.waiting:
                    self._machine.stop()  # it waits for an answer: let the host look

        def arrived(_frame: bytes) -> None:
            card.received += 1
            card.in_flight -= card.in_flight > 0  # a link of a lab stamps its frames itself

        card.port.listeners.add(heard)
        card.port.arrivals.add(arrived)
        if (capture := card.capture) is not None:
            card.port.tap(lambda frame: capture.add(self._machine.now(), frame))

    @staticmethod
    def _balance(card: _Card) -> None:
        """Read from the host only while the guest takes its frames."""
        held = card.in_flight + card.port.waiting >= ROOM
        if card.peer is not None and held != card.held:
            card.held = held
            card.peer.hold(held)

    def cut(self) -> None:
        """Peers know nothing of what the guest did before: it sees its link go down and up."""
        for card in self._cards.values():
            if card.peer is not None:
                card.note = CUT
                self._machine.inputs.post(LINK, card.node.id, REPLUGGED)

    def arrived(self) -> None:
        """Told that virtual time has passed."""
        for card in self._cards.values():
            self._balance(card)

    def rewind(self, machine: Machine) -> None:
        """Go on with the cards of an earlier machine; `cut` is to follow."""
        self._machine = machine
        for id, card in self._cards.items():
            card.port = machine.network_ports[id]
            card.in_flight = 0
            if card.capture is not None:
                card.capture.rewind(machine.now())
            self._listen(card)

    def poll(self) -> None:
        """Let peers do what is due by the host's time; once a second is enough."""
        for card in self._cards.values():
            if card.peer is not None:
                card.peer.poll()
            if card.capture is not None:
                card.capture.flush()

    def failing(self) -> Iterator[tuple[str, str, str]]:
        """Captures that miss frames: the card, the file, why."""
        for id, card in self._cards.items():
            if card.capture is not None and card.capture.fault:
                yield id, str(card.capture.path), card.capture.fault

    def describe(self) -> list[dict[str, Any]]:
        """Each card, for a status. What is sent, received and dropped is in frames."""
        return [
            {
                "id": card.node.id,
                "mac": card.node.mac,
                "network": str(card.node.network) if card.node.network is not None else None,
                "peer": card.peer.describe() if card.peer is not None else None,
                "sent": card.sent,
                "received": card.received,
                "dropped": card.peer.dropped if card.peer is not None else 0,
                "note": card.note or None,
                "capture-fault": card.capture.fault if card.capture is not None else "",
            }
            for card in self._cards.values()
        ]

    def close(self) -> None:
        """End all peers."""
        for card in self._cards.values():
            if card.peer is not None:
                card.peer.close()
                card.peer = None
            if card.capture is not None:
                card.capture.close()
