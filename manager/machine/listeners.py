# SPDX-License-Identifier: BSD-2-Clause
"""The output of a port, for any number of listeners."""

from __future__ import annotations

from collections.abc import Callable

Heard = Callable[[bytes], None]


class Listeners:
    """Called in the order in which they were added; any of them may leave at any time.

    >>> listeners, log = Listeners(), bytearray()
    >>> listeners.add(log.extend)
    >>> listeners.heard(b"login: ")
    >>> bytes(log)
    b'login: '
    """

    __slots__ = ("_begun", "_heard")

    def __init__(self) -> None:
        self._heard: list[Heard] = []
        self._begun: list[tuple[Heard, Callable[[], object]]] = []

    def add(self, heard: Heard, begun: Callable[[], object] | None = None) -> None:
        """Call `heard` with all output, in pieces, and `begun` when there begins to be some.

        `begun` is called inside the machine's run, at the guest's first byte after all before it
        was handed out; `heard` when the output is handed out, which is at the host's choice.
        """
        self._heard.append(heard)
        if begun is not None:
            self._begun.append((heard, begun))

    def remove(self, heard: Heard) -> None:
        """Remove a listener, if it is there."""
        if heard in self._heard:
            self._heard.remove(heard)
            self._begun = [entry for entry in self._begun if entry[0] != heard]

    def __len__(self) -> int:
        return len(self._heard)

    def begun(self) -> None:
        """Tell of the first byte."""
        for _, begun in tuple(self._begun):
            begun()

    def heard(self, data: bytes) -> None:
        """Hand out `data`."""
        for heard in tuple(self._heard):
            heard(data)
