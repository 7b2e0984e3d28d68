# SPDX-License-Identifier: BSD-2-Clause
"""Signals as events of a selector, so that they are handled between its other events."""

from __future__ import annotations

import selectors
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
"""What asks a process to end."""


class Signals:
    """While entered, each of ENDING calls `arrived` with its number, from the selector's turn.

    Off the main thread, where Python cannot set handlers, it does nothing.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        arrived: Callable[[int], None],
    ) -> None:
        self._selector = selector
        self._tell = arrived
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
        for number in ENDING:
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
            if number in ENDING:
                self._tell(number)


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The wakeup descriptor has told the selector already."""
