# SPDX-License-Identifier: BSD-2-Clause
"""The owner's side of a backend, as a machine's loop would be."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Iterator
from typing import Protocol

import pytest

from manager.backends.backend import Backend


class Owner(Protocol):
    """See the class below; a fixture hands it out."""

    selector: selectors.BaseSelector
    received: bytearray

    def adopt(self, backend: Backend) -> None: ...
    def until(self, condition: Callable[[], bool]) -> None: ...
    def settle(self) -> None: ...


class SelectorOwner:
    """Runs a selector and keeps what the backend hands to the guest."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.received = bytearray()
        self._backends: list[Backend] = []

    def adopt(self, backend: Backend) -> None:
        """Attach a backend, and close it when the test ends."""
        self._backends.append(backend)
        backend.attach(self.selector, self.received.extend)

    def until(self, condition: Callable[[], bool]) -> None:
        """Turn the loop until the condition holds; three seconds without an event are too long."""
        while not condition():
            events = self.selector.select(3) if self.selector.get_map() else []
            assert events, "nothing happened any more"
            for key, mask in events:
                key.data(mask)

    def settle(self) -> None:
        """Turn the loop while something is ready now; a storm of events is a failure."""
        for _ in range(100):
            events = self.selector.select(0)
            if not events:
                return
            for key, mask in events:
                key.data(mask)
        raise AssertionError("the backend never comes to rest")

    def close(self) -> None:
        """Close everything; nothing may stay registered."""
        for backend in self._backends:
            backend.close()
        left = len(self.selector.get_map())
        self.selector.close()
        assert left == 0


@pytest.fixture
def owner() -> Iterator[Owner]:
    """An owner for one test."""
    owner = SelectorOwner()
    yield owner
    owner.close()
