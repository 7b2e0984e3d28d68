# SPDX-License-Identifier: BSD-2-Clause
"""bhyve's network cards in a machine file, and ours in its settings.

bhyve's backend "slirp" is a road outside as `network = "user"` is one, with the same address of the
guest (bhyve(8), FreeBSD 14).
"""

from __future__ import annotations

import re

from manager.devices import host
from manager.devices.nic import NicNode

CARDS = ("e1000", "virtio-net")
"""Both have the same name here. bhyve's e1000 is an 82545EM, which the same drivers take."""
GUEST = "10.0.2.15"
_MAC = re.compile(r"(?!(?:00:){5}00)[0-9a-fA-F][02468aceACE](?::[0-9a-fA-F]{2}){5}")
"""An address that a card can have: not of a group, and not all zeros."""
_FORWARD = re.compile(r"(tcp|udp):(\d+(?:\.\d+){3}):(\d+)-(?:10\.0\.2\.15)?:(\d+)")


def keys(where: str, options: dict[str, str], lost: list[str]) -> list[str]:
    """Lines of its table besides `device`; what has no place there is added to `lost`.

    `options` has what a command line or a configuration file says of the card, which is taken out.
    """
    backend, *words = options.pop("options", "").split(",")
    known = [name for name in ("backend", "mac", "type", "hostfwd") if name in options]
    named: dict[str, str] = {name: options.pop(name) for name in known}
    named |= dict(word.partition("=")[::2] for word in words)
    backend = named.pop("backend", backend)
    lines = []
    if backend == "slirp":
        lines.append(_user_network(where, named.pop("hostfwd", ""), lost))
    elif backend:
        lost.append(f'{where}: its backend {backend}: `network = "user"` is the road outside')
    mac = named.pop("mac", "")
    if _MAC.fullmatch(mac):
        lines.append(f'mac = "{mac}"')
    elif mac:
        lost.append(f"{where}.mac={mac}: no address of a card")
    lost += [
        f"{where}.{name}={value}: there is nothing like it here" for name, value in named.items()
    ]
    return lines


def _user_network(where: str, rules: str, lost: list[str]) -> str:
    forward = []
    for rule in filter(None, rules.split(";")):
        match = _FORWARD.fullmatch(rule)
        if match is None:
            lost.append(f"{where}.hostfwd={rule}: no forward to {GUEST} as there can be one here")
            continue
        kind, address, entry, port = match.groups()
        forward.append(f'"{address}:{entry} -> {port}{"/udp" if kind == "udp" else ""}"')
    if not forward:
        return 'network = "user"'
    return f'network = {{ type = "user", forward = [{", ".join(forward)}] }}'


def settings(node: NicNode, lost: list[str]) -> dict[str, str]:
    """A card's settings by name; what bhyve cannot be told is added to `lost`."""
    told = {"device": node.type}
    network = node.network
    if isinstance(network, host.UserNetwork):
        told["backend"] = "slirp"
        if network.forward:
            told["hostfwd"] = ";".join(map(_rule, network.forward))
    elif network is not None:
        lost.append(f"{node.id}: the network {network}: give the card a tap as its backend")
    if network is not None and network.capture is not None:
        lost.append(f"{node.id}.network.capture: {network.capture}")
    return told | {"mac": node.mac}


def _rule(forward: str) -> str:
    listen, _, port = forward.partition(" -> ")
    kind = "udp" if port.endswith("/udp") else "tcp"
    return f"{kind}:{listen}-{GUEST}:{port.removesuffix('/udp')}"
