# SPDX-License-Identifier: BSD-2-Clause
"""Output that waits for the host to take it."""

from __future__ import annotations

import os
import select
import time

CHUNK = 65536
"""Bytes offered to the host at a time."""


class Outbox:
    """A queue of at most `limit` bytes. Beyond that the oldest go.

    A note takes their place, unless `noted` is off: between two machines it would be noise.
    """

    __slots__ = ("_limit", "_noted", "_queue", "dropped", "skipped")

    def __init__(self, limit: int, *, noted: bool = True) -> None:
        self._limit = limit
        self._noted = noted
        self._queue = bytearray()
        self.dropped = 0
        """Bytes that were dropped since the queue was made."""
        self.skipped = 0
        """Bytes that were dropped and not announced yet."""

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, data: bytes) -> None:
        """Queue bytes."""
        self._queue += data
        if (surplus := len(self._queue) - self._limit) > 0:
            del self._queue[:surplus]
            self.dropped += surplus
            self.skipped += surplus if self._noted else 0

    def take_all(self) -> bytes:
        """Empty the queue and return what was in it."""
        data = bytes(self._queue)
        self._queue.clear()
        return data

    def flush(self, descriptor: int) -> None:
        """Write what a non-blocking descriptor takes. Raises OSError when it is broken."""
        try:
            if self.skipped:
                note = b"\r\n[vmmgr: %d bytes skipped, the log has them]\r\n" % self.skipped
                self._queue[:0] = note[os.write(descriptor, note) :]
                self.skipped = 0
            while self._queue:
                del self._queue[: os.write(descriptor, self._queue[:CHUNK])]
        except BlockingIOError:
            pass

    def drain(self, descriptor: int, patience: float) -> str:
        """Write the rest before the end, for at most `patience` seconds; returns why not all."""
        poller = select.poll()
        poller.register(descriptor, select.POLLOUT)
        give_up = time.monotonic() + patience
        while self._queue and (left := give_up - time.monotonic()) > 0:
            if not poller.poll(left * 1000):
                break
            try:
                self.flush(descriptor)
            except OSError as error:
                return str(error.strerror)
        return f"not read for {patience:g} s" if self._queue else ""
