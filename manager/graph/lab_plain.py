# SPDX-License-Identifier: BSD-2-Clause
"""A lab as plain values and back, without loss: how a lab's snapshot keeps its configuration."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.config.lab_limits import BANDWIDTHS, BAUDS, LATENCIES, SEEDS
from manager.config.units import LOSS_UNIT
from manager.devices.host import LinkEnd
from manager.graph import plain as graphs
from manager.graph.lab import MOST_CARDS, CableSpec, End, Lab, LinkSpec
from manager.graph.network_rules import network_cards
from manager.graph.plain import GraphFormatError
from manager.names import NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from manager.bus.record import Plain
    from manager.graph.nodes import Graph


def to_plain(lab: Lab) -> dict[str, Plain]:
    """All of a lab, host-side wiring included."""
    return {
        "source": str(lab.source),
        "machines": {name: graphs.to_plain(graph) for name, graph in lab.members.items()},
        "links": {name: _wire(link) for name, link in lab.links.items()},
        "cables": {
            name: {**_wire(cable), "ends": [list(end) for end in cable.ends]}
            for name, cable in lab.cables.items()
        },
    }


def _wire(spec: LinkSpec | CableSpec) -> dict[str, Plain]:
    """What is not said elsewhere: a link's cards say themselves what they are on."""
    found = {item.name: getattr(spec, item.name) for item in fields(spec)}
    return {
        key: graphs.plain_value(value)
        for key, value in found.items()
        if key not in ("name", "ends") and value is not None
    }


def from_plain(plain: Any, name: str) -> Lab:
    """The lab that `to_plain` was given, by another name. Raises GraphFormatError."""
    try:
        source = Path(plain["source"])
        machines = {_name(key): item for key, item in sorted(plain["machines"].items())}
        links = {_name(key): dict(item) for key, item in sorted(plain["links"].items())}
        cables = {_name(key): dict(item) for key, item in sorted(plain["cables"].items())}
    except (LookupError, TypeError, ValueError, AttributeError):
        raise GraphFormatError("it is no lab") from None
    members = {
        key: replace(graphs.from_plain(item), name=f"{name}/{key}")
        for key, item in machines.items()
    }
    if not members or len({graph.clock_mode for graph in members.values()}) > 1:
        raise GraphFormatError("it has no machine, or clocks of several modes")
    return Lab(
        name,
        source,
        members,
        {key: _link(members, key, item) for key, item in links.items()},
        {key: _cable(members, key, item) for key, item in cables.items()},
    )


def cards_on(machines: Mapping[str, Graph], link: str) -> tuple[End, ...]:
    """The cards on a link, in the order of their numbers there."""
    return tuple(
        End(name, node.id)
        for name, graph in sorted(machines.items())
        for node in network_cards(graph)
        if isinstance(node.network, LinkEnd) and node.network.name == link
    )


def _name(text: str) -> str:
    if NAME.fullmatch(text) is None:
        raise ValueError(text)
    return text


def _link(machines: Mapping[str, Graph], name: str, plain: dict[str, Any]) -> LinkSpec:
    capture = plain.pop("capture", None)
    if not isinstance(capture, str | None):
        raise GraphFormatError(f"link {name}: its capture is no path")
    ranges = {"latency": LATENCIES, "bandwidth": BANDWIDTHS, "seed": SEEDS, "loss": (0, LOSS_UNIT)}
    _require(f"link {name}", plain, ranges)
    ends = cards_on(machines, name)
    if len(ends) > MOST_CARDS:
        raise GraphFormatError(f"link {name} has {len(ends)} cards")
    path = Path(capture) if capture is not None else None
    return LinkSpec(name, ends, capture=path, **plain)


def _cable(machines: Mapping[str, Graph], name: str, plain: dict[str, Any]) -> CableSpec:
    where, ends = f"cable {name}", plain.pop("ends", None)
    _require(where, plain, {"latency": LATENCIES, "baud": BAUDS})
    try:
        one, two = (End(*end) for end in ends)
        known = all(
            any(port.id == end.device for port in machines[end.machine].serial_ports())
            for end in (one, two)
        )
    except (TypeError, ValueError, LookupError):
        known = False
    if not known or one == two:
        raise GraphFormatError(f"{where} does not have two ports as its ends")
    return CableSpec(name, (one, two), **plain)


def _require(where: str, plain: dict[str, Any], ranges: dict[str, tuple[int, int]]) -> None:
    if plain.keys() != ranges.keys():
        raise GraphFormatError(f"{where}: expected {', '.join(sorted(ranges))}")
    for key, (least, most) in ranges.items():
        if type(plain[key]) is not int or not least <= plain[key] <= most:
            raise GraphFormatError(f"{where}: {key} is not from {least} to {most}")
