# SPDX-License-Identifier: BSD-2-Clause
"""One descriptor's place in a selector."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from contextlib import suppress

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE


class Watch:
    """Keeps a descriptor registered for exactly the events that are wanted, or not at all.

    A descriptor without wanted events must not stay registered: epoll would report its hang-up
    for ever.
    """

    __slots__ = ("_callback", "_descriptor", "_events", "_selector")

    def __init__(
        self, selector: selectors.BaseSelector, descriptor: int, callback: Callable[[int], None]
    ) -> None:
        self._selector = selector
        self._descriptor = descriptor
        self._callback = callback
        self._events = 0

    def want(self, events: int) -> None:
        """Be called for `events`, an OR of READ and WRITE; 0 for none.

        Raises PermissionError for what the host cannot watch: regular files and /dev/null.
        """
        if events == self._events:
            return
        if not self._events:
            self._selector.register(self._descriptor, events, self._call)
        elif events:
            self._selector.modify(self._descriptor, events, self._call)
        else:
            with suppress(KeyError):  # the owner has already dropped a broken descriptor
                self._selector.unregister(self._descriptor)
        self._events = events

    def _call(self, events: int) -> None:
        # An earlier callback of the same round may have made this event void.
        if wanted := events & self._events:
            self._callback(wanted)
