# SPDX-License-Identifier: BSD-2-Clause
"""Signals as events of a selector, so that they are handled between two slices of the guest."""

from __future__ import annotations

import selectors
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_STOP = (signal.SIGTERM, signal.SIGHUP)


class Signals:
    """While entered: SIGTERM and SIGHUP call `stop` with their number, SIGINT `interrupt`.

    Off the main thread, where Python cannot set handlers, it does nothing.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        stop: Callable[[int], None],
        interrupt: Callable[[], None],
    ) -> None:
        self._selector = selector
        self._stop = stop
        self._interrupt = interrupt
        self._before: dict[int, Any] = {}
        self._wakeup_before = -1
        self._ends: tuple[socket.socket, socket.socket] | None = None

    def __enter__(self) -> Signals:
        if threading.current_thread() is not threading.main_thread():
            return self
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        self._ends = (reader, writer)
        self._selector.register(reader, selectors.EVENT_READ, self._arrived)
        self._wakeup_before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        for number in (*_STOP, signal.SIGINT):
            self._before[number] = signal.signal(number, _noted)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._ends is None:
            return
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._selector.unregister(self._ends[0])
        for end in self._ends:
            end.close()
        self._ends = None

    def _arrived(self, _events: int) -> None:
        assert self._ends is not None
        try:
            numbers = self._ends[0].recv(4096)
        except BlockingIOError:
            return
        for number in numbers:
            if number in _STOP:
                self._stop(number)
            elif number == signal.SIGINT:
                self._interrupt()


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The wakeup descriptor has told the selector already."""
