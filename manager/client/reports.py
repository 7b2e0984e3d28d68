# SPDX-License-Identifier: BSD-2-Clause
"""What a machine in the background reports to the command that started it."""

from __future__ import annotations

import json
import os
import selectors
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from manager.errors import HostError

K = TypeVar("K")
"""What tells one machine's reports from another's."""
Report = dict[str, Any]
"""{"up"}, {"output"}, {"ready"}, {"unready"} or {"error"}, each with its data."""


def follow(descriptor: int) -> Iterator[Report]:
    """The background's reports, until it closes its end. Raises HostError for a broken one."""
    with os.fdopen(descriptor, "rb") as pipe:
        for line in pipe:
            yield _parsed(line)


def follow_all(descriptors: Mapping[K, int]) -> Iterator[tuple[K, Report | None]]:
    """The reports of several, as they come; None for each one's end. Raises HostError."""
    with selectors.DefaultSelector() as selector:
        received: dict[K, bytes] = {}
        for name, descriptor in descriptors.items():
            selector.register(descriptor, selectors.EVENT_READ, name)
            received[name] = b""
        while received:
            for key, _ in selector.select():
                name = key.data
                data = os.read(key.fd, 65536)
                *lines, received[name] = (received[name] + data).split(b"\n")
                for line in lines:
                    yield name, _parsed(line)
                if not data:
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    del received[name]
                    yield name, None


def _parsed(line: bytes) -> Report:
    try:
        event: Report = json.loads(line)
    except ValueError:
        raise HostError("the machine's process died while it was reporting") from None
    return event
