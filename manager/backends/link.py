# SPDX-License-Identifier: BSD-2-Clause
"""A descriptor that is read and written: a pty's master or a connected socket."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable

from manager.backends.backend import Receive
from manager.backends.outbox import Outbox
from manager.backends.watch import READ, WRITE, Watch

READ_SIZE = 4096
"""Bytes of input that are taken at a time."""


class Link:
    """Queued output and watched input on one non-blocking descriptor, which the caller owns.

    `broken` is called once, when the other side has closed. One that takes no more output
    may have sent something before it went: that is read first.
    """

    __slots__ = (
        "_broken", "_descriptor", "_held", "_receive", "_watch", "_writing", "outbox", "reading",
    )  # fmt: skip

    def __init__(
        self, descriptor: int, outbox: Outbox, receive: Receive, broken: Callable[[], None]
    ) -> None:
        self.outbox = outbox
        self.reading = True
        """Whether the other side may still send; false after its end of file."""
        self._descriptor = descriptor
        self._receive = receive
        self._broken = broken
        self._held = False
        self._writing = True
        self._watch: Watch | None = None

    def attach(self, selector: selectors.BaseSelector) -> None:
        """Watch the descriptor."""
        self._watch = Watch(selector, self._descriptor, self._ready)
        self._update()

    def detach(self) -> None:
        """Watch it no more."""
        if self._watch is not None:
            self._watch.want(0)
            self._watch = None

    def write(self, data: bytes) -> None:
        """Queue bytes, and send what the descriptor takes."""
        if self._writing:
            self.outbox.put(data)
            self._flush()

    def hold(self, held: bool) -> None:
        """Leave input where it is while `held`."""
        self._held = held
        self._update()

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if events & READ and self._watch is not None:
            self._read()

    def _flush(self) -> None:
        try:
            self.outbox.flush(self._descriptor)
        except OSError:
            self.outbox.take_all()
            self._writing = False
            if not self.reading:
                self._end()
                return
        self._update()

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            self._end()
            return
        if data:
            self._receive(data)
            return
        self.reading = False
        if self._writing:
            self._update()
        else:
            self._end()

    def _update(self) -> None:
        if self._watch is not None:
            readable = READ if self.reading and not self._held else 0
            self._watch.want(readable | (WRITE if self.outbox else 0))

    def _end(self) -> None:
        self.detach()
        self._broken()
