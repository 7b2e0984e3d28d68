# SPDX-License-Identifier: BSD-2-Clause
"""Temporary folders that are removed too when a signal ends the process."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_ENDING: tuple[int, ...] = (signal.SIGTERM, signal.SIGHUP)
"""What ends a process without a word; Ctrl-C is an exception of Python's own."""


class _Ended(BaseException):
    """The process is to end by the signal `number`, once what it has begun is undone."""

    def __init__(self, number: int) -> None:
        self.number = number


@contextmanager
def folder(prefix: str) -> Iterator[Path]:
    """A new folder below the host's temporary one, which is gone afterwards with its content.

    Raises OSError.
    """
    with undone_by_signals(), tempfile.TemporaryDirectory(prefix=prefix) as name:
        yield Path(name)


@contextmanager
def undone_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind the stack up to here, and then end the process as ever.

    Where they are ignored or handled, and off the main thread, they are left alone.
    """
    armed = _arm()
    try:
        yield
    except _Ended as ended:
        if not armed:
            raise
        signal.signal(ended.number, signal.SIG_DFL)
        os.kill(os.getpid(), ended.number)
    finally:
        for number in armed:
            signal.signal(number, signal.SIG_DFL)


def _arm() -> list[int]:
    """Which signals unwind the stack from now on."""
    if threading.current_thread() is not threading.main_thread():
        return []
    armed = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in armed:
        signal.signal(number, _unwind)
    return armed


def _unwind(number: int, _frame: FrameType | None) -> None:
    for other in _ENDING:
        signal.signal(other, signal.SIG_IGN)  # a second one would cut the removal short
    raise _Ended(number)
