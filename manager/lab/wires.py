# SPDX-License-Identifier: BSD-2-Clause
"""What is between the machines of a running lab, plugged into their network cards and ports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from manager.bus.ethernet import HEADER, MAX_FRAME
from manager.bus.record import NEVER, RecordError, from_plain, to_plain
from manager.graph.lab import End
from manager.lab.cables import Cable, CableState
from manager.lab.links import Link, LinkState
from manager.lab.stored import piece, require_asked
from manager.machine.inputs import DATA, Input
from manager.machine.network_port import FRAME
from manager.machine.serial_port import PENDING_LIMIT
from manager.network.pcap import Capture

if TYPE_CHECKING:
    from manager.bus.record import Plain
    from manager.graph.lab import Lab
    from manager.machine.machine import Machine


class Arrival(NamedTuple):
    """What reaches a machine, and when: ns of virtual time."""

    at: int
    end: End
    """The device is empty where the input is for none."""
    kind: str
    data: bytes
    wired: bool = True
    """Whether a link or a cable brings it."""


class _Line:
    """What a port sends into a cable in a quantum: one piece, however often it is handed out."""

    __slots__ = ("_begun_at", "_cable", "_data", "_end", "_machine", "_port")

    def __init__(self, cable: Cable, end: int, machine: Machine) -> None:
        self._cable = cable
        self._end = end
        self._machine = machine
        self._port = machine.ports[cable.spec.ends[end].device]
        self._begun_at = 0
        self._data = bytearray()
        self._port.listeners.add(self._data.extend, self._begun)

    def _begun(self) -> None:
        if not self._data:
            self._begun_at = self._machine.now()

    def send(self) -> None:
        """The quantum is over."""
        self._port.take_output()
        if self._data:
            self._cable.send(self._begun_at, self._end, bytes(self._data))
            self._data.clear()

    def state(self) -> list[Plain]:
        """When the piece began, and what there is of it."""
        self._port.take_output()
        return [self._begun_at, bytes(self._data)]

    def load(self, begun_at: int, data: bytes) -> None:
        """Go on with a piece."""
        self._begun_at = begun_at
        self._data[:] = data


class Wires:
    """All links and cables of a lab. What goes out is stamped when it is sent.

    What a machine gets in a quantum it is told when the quantum begins, for no wire is faster. A
    machine that is not in `machines` is off, and neither sends nor receives.
    """

    def __init__(self, lab: Lab, machines: Mapping[str, Machine]) -> None:
        self._machines = dict(machines)
        links = (Link(spec, tuple(map(str, spec.ends))) for spec in lab.links.values())
        self._links = {link.spec.name: link for link in links}
        self._cables = {spec.name: Cable(spec) for spec in lab.cables.values()}
        self._captures: dict[str, Capture] = {}
        self._epoch = lab.epoch
        self._lines: dict[End, _Line] = {}
        self._late: list[Arrival] = []
        """What is due at machines that are past the quantum in which it is: one that was reset."""
        for link in self._links.values():
            for number, end in enumerate(link.spec.ends):
                if end.machine in machines:
                    self._listen(link, number, end)
        for cable in self._cables.values():
            for number, end in enumerate(cable.spec.ends):
                if end.machine in machines:
                    self._lines[end] = _Line(cable, number, machines[end.machine])

    def _listen(self, link: Link, number: int, end: End) -> None:
        machine = self._machines[end.machine]

        def heard(frame: bytes) -> None:
            link.send(machine.now(), number, frame)

        machine.network_ports[end.device].listeners.add(heard)

    def open_captures(self, *, anew: bool) -> None:
        """Begin to write captures, `anew` or where they were when the lab was saved.

        Raises HostError.
        """
        for name, link in self._links.items():
            if link.spec.capture is not None:
                capture = Capture(link.spec.capture, self._epoch, anew=anew)
                if not anew:
                    capture.rewind(link.tapped_until - 1)
                self.capture(name, capture)

    def tap(self, name: str, heard: Callable[[int, bytes], object]) -> None:
        """Have each frame on a link heard, in place of a capture: when it was sent, its bytes."""
        self._links[name].tap = heard

    @property
    def next_due(self) -> int:
        """When something may arrive next: never later than it does; NEVER if nothing is sent."""
        links = (link.next_due for link in self._links.values())
        cables = (cable.next_due for cable in self._cables.values())
        late = (arrival.at for arrival in self._late)
        return min((NEVER, *links, *cables, *late))

    def deliver(self, until: int, outside: Iterable[Arrival] = ()) -> None:
        """Tell the machines, which have all come to the same time, what arrives before `until`.

        `outside` is what comes from elsewhere before then, in order.
        """
        late, self._late = self._late, []
        found = [
            *late,
            *outside,
            *(
                Arrival(at, link.spec.ends[number], FRAME, frame)
                for link in self._links.values()
                for at, number, frame in link.due(until)
            ),
            *(
                Arrival(at, cable.spec.ends[number], DATA, data)
                for cable in self._cables.values()
                for at, number, data in cable.due(until)
                if self._has_room(cable, number, data)
            ),
        ]
        for arrival in sorted(found, key=lambda item: item.at):
            machine = self._machines.get(arrival.end.machine)
            if machine is not None and machine.now() >= until:
                self._late.append(arrival)
            elif machine is not None:
                _tell(machine, arrival)

    def _has_room(self, cable: Cable, number: int, data: bytes) -> bool:
        """Whether a port takes what arrives: one that no guest reads must not grow for ever."""
        end = cable.spec.ends[number]
        machine = self._machines.get(end.machine)
        if machine is None or machine.ports[end.device].pending < PENDING_LIMIT:
            return True
        cable.refuse(number, len(data))
        return False

    def collect(self) -> None:
        """A quantum is over: send what goes in one piece."""
        for line in self._lines.values():
            line.send()

    def power_off(self, name: str) -> None:
        """A machine is over: what it sent is on its way, and what is on the way to it is lost."""
        for end in [end for end in self._lines if end.machine == name]:
            self._lines.pop(end).send()
        self._machines.pop(name, None)
        self._late = [arrival for arrival in self._late if arrival.end.machine != name]

    def state(self) -> dict[str, Plain]:
        """Everything on its way, and what of this quantum is not."""
        links: dict[str, Plain] = {id: to_plain(link.state()) for id, link in self._links.items()}
        cables: dict[str, Plain] = {
            name: to_plain(cable.state()) for name, cable in self._cables.items()
        }
        lines: dict[str, Plain] = {str(end): line.state() for end, line in self._lines.items()}
        late: list[Plain] = [[at, *end, kind, data] for at, end, kind, data, _ in self._late]
        return {"links": links, "cables": cables, "lines": lines, "late": late}

    def load(self, plain: Mapping[str, Any], now: int) -> None:
        """Take over a state of the time `now`, in ns. Raises RecordError when it does not fit."""
        ends = {str(end): line for end, line in self._lines.items()}
        known: list[set[str]] = [set(self._links), set(self._cables), set(ends)]
        parts: list[Any] = [plain.get(key) for key in ("links", "cables", "lines")]
        for part, names in zip(parts, known, strict=True):
            if not isinstance(part, dict) or set(part) != names:
                raise RecordError("it has other wires")
        links, cables, lines = parts
        for name, link in self._links.items():
            link_state = from_plain(LinkState, links[name], LinkState.VERSION, name)
            require_asked(name, link_state.asked_until, now)
            link.load(link_state)
        for name, cable in self._cables.items():
            cable_state = from_plain(CableState, cables[name], CableState.VERSION, name)
            require_asked(name, cable_state.asked_until, now)
            cable.load(cable_state)
        for name, line in ends.items():
            line.load(*piece(name, lines[name], now))
        late = plain.get("late", [])
        if not isinstance(late, list):
            raise RecordError("what is due late is no list")
        self._late = [self._arrival(item) for item in late]

    def _arrival(self, plain: Any) -> Arrival:
        try:
            at, machine, device, kind, data = plain
        except (TypeError, ValueError):
            plain = ()
        else:
            plain = (type(at), type(machine), type(device), type(kind), type(data))
        if plain != (int, str, str, str, bytes) or not 0 <= at < NEVER:
            raise RecordError("what is due late is not what this version writes")
        if kind == FRAME and not HEADER <= len(data) <= MAX_FRAME:
            raise RecordError("a frame that is due late is too short or too long")
        return Arrival(at, End(machine, device), kind, data)

    def take_captures(self, later: Wires) -> None:
        """Go on with the captures of wires that are at a later time, cut to the present one."""
        for name, capture in later._captures.items():
            capture.rewind(self._links[name].tapped_until - 1)
            self.capture(name, capture)
        later._captures = {}

    def capture(self, link: str, capture: Capture) -> None:
        """Have all frames on a link written from now on."""
        self._captures[link] = capture
        self._links[link].tap = partial(Capture.add, capture)

    def flush(self) -> None:
        """Let readers of captures see all of them."""
        for capture in self._captures.values():
            capture.flush()

    def describe(self) -> dict[str, Any]:
        """Each link and cable, for a status."""
        return {
            "links": [self._link(link) for link in self._links.values()],
            "cables": [self._cable(cable) for cable in self._cables.values()],
        }

    def _link(self, link: Link) -> dict[str, Any]:
        capture = self._captures.get(link.spec.name)
        return {
            "name": link.spec.name,
            "in-flight": link.in_flight,
            "capture-fault": capture.fault if capture is not None else "",
            "cards": [
                {
                    "card": card,
                    "sent": cable.sent,
                    "received": cable.received,
                    "lost": cable.lost,
                    "dropped": cable.dropped,
                }
                for card, cable in link.traffic().items()
            ],
        }

    @staticmethod
    def _cable(cable: Cable) -> dict[str, Any]:
        return {
            "name": cable.spec.name,
            "ends": [
                {
                    "port": str(end),
                    "sent": other.sent,
                    "received": way.received,
                    "dropped": way.dropped,
                }
                for end, way, other in zip(
                    cable.spec.ends, cable.traffic(), reversed(cable.traffic()), strict=True
                )
            ],
        }

    def close(self) -> None:
        """Write the rest of the captures."""
        for capture in self._captures.values():
            capture.close()


def _tell(machine: Machine, arrival: Arrival) -> None:
    """Send it on its way as input: it is there within the quantum that begins."""
    # Input from the host may wait already, and a machine stops between blocks only.
    earliest = max(machine.now() + 1, machine.inputs.last_at or 0)
    at, end, kind, data, wired = arrival
    machine.inputs.schedule(Input(max(at, earliest), kind, end.device, data, wired))
