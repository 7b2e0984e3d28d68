# SPDX-License-Identifier: BSD-2-Clause
"""Serving a queue: one request after the other, each in its time.

A request stays in the queue, in guest RAM, until its time has come; the record only knows which one
is being served, and until when. So a suspend may fall anywhere in its life.
"""

from __future__ import annotations

from collections.abc import Callable

from manager.bus.clock import Clock
from manager.bus.record import NEVER, Record, flag, moment, uint
from manager.devices.virtio.device import VirtioCore
from manager.devices.virtio.queue import Chain
from manager.lazy import dataclass


@dataclass(slots=True)
class ServiceState(Record):
    """The request that is being served."""

    TYPE = "virtio-service"

    serving: bool = flag("whether there is one")
    head: int = uint(16, "its first descriptor")
    due: int = moment("when it is done", NEVER)


class Server:
    """Serves queue `index` of `core`.

    `time` says how many ns a request takes; `execute` does it, and returns how many bytes it wrote
    to the writable part. Both may raise QueueBrokenError.
    """

    def __init__(
        self,
        core: VirtioCore,
        index: int,
        clock: Clock,
        time: Callable[[Chain], int],
        execute: Callable[[Chain], int],
    ) -> None:
        self.state = ServiceState()
        self._core = core
        self._index = index
        self._clock = clock
        self._time = time
        self._execute = execute
        self._timer = clock.timer(self._due)

    def settle(self) -> None:
        """Make the timer agree with the record."""
        if self.state.serving:
            self._timer.arm(self.state.due)
        else:
            self._timer.disarm()

    def forget(self) -> None:
        """Drop the request that is being served."""
        self.state.serving = False
        self.state.due = NEVER
        self._timer.disarm()

    def begin(self) -> None:
        """Begin with the next request, unless one is being served. Raises QueueBrokenError."""
        queue, state = self._core.queues[self._index], self.state
        if state.serving:
            return
        head = queue.take()
        if head is None:
            queue.ask_to_be_told()
            # One that came before the driver could see that is not told of.
            head = queue.take()
            if head is None:
                return
        state.serving, state.head = True, head
        state.due = self._clock.now() + self._time(queue.chain(head))
        self._timer.arm(state.due)

    def _due(self) -> None:
        self.state.serving = False
        self.state.due = NEVER
        self._core.serve(self._finish)

    def _finish(self) -> None:
        head = self.state.head
        written = self._execute(self._core.queues[self._index].chain(head))
        self._core.give_back(self._index, head, written)
        self.begin()
