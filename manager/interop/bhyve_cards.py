# SPDX-License-Identifier: BSD-2-Clause
"""bhyve's network cards in a machine file."""

from __future__ import annotations

import re

CARDS = ("e1000", "virtio-net")
"""Both have the same name here. bhyve's e1000 is an 82545EM, which the same drivers take."""
_MAC = re.compile(r"(?!(?:00:){5}00)[0-9a-fA-F][02468aceACE](?::[0-9a-fA-F]{2}){5}")
"""An address that a card can have: not of a group, and not all zeros."""


def keys(where: str, options: dict[str, str], lost: list[str]) -> list[str]:
    """Lines of its table besides `device`; what has no place there is added to `lost`.

    `options` has what a command line or a configuration file says of the card, which is taken out.
    """
    backend, *words = options.pop("options", "").split(",")
    known = [name for name in ("backend", "mac", "type") if name in options]
    named: dict[str, str] = {name: options.pop(name) for name in known}
    named |= dict(word.partition("=")[::2] for word in words)
    backend = named.pop("backend", backend)
    if backend:
        lost.append(f'{where}: its backend {backend}: `network = "user"` is the road outside')
    mac = named.pop("mac", "")
    lines = [f'mac = "{mac}"'] if _MAC.fullmatch(mac) else []
    if mac and not lines:
        lost.append(f"{where}.mac={mac}: no address of a card")
    lost += [
        f"{where}.{name}={value}: there is nothing like it here" for name, value in named.items()
    ]
    return lines
