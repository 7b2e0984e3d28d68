# SPDX-License-Identifier: BSD-2-Clause
"""The place where the host meets the files of a share while the machine runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from manager.storage.share.tree import Tree

CHANGES = "share"
"""The kind of input that changes of the host's are: manager.storage.share.changes.packed."""

Done = Callable[[OSError | None], None]


class SharedFiles(Protocol):
    """What a device has of a share."""

    @property
    def tree(self) -> Tree:
        """The files, to be read."""

    def change(self, data: bytes) -> None:
        """Make packed changes in their order. Raises OSError at the first that cannot be made."""


class SharePort:
    """Files are read as they are; what is changed is input: it is stamped, and arrives then."""

    __slots__ = ("_done", "_files", "_post", "id")

    def __init__(self, id: str, post: Callable[[bytes], None] | None = None) -> None:
        self.id = id
        self._post = post if post is not None else self.arrive
        self._files: SharedFiles | None = None
        self._done: deque[Done] = deque()

    def connect(self, files: SharedFiles) -> None:
        """The device is there."""
        self._files = files

    @property
    def tree(self) -> Tree:
        """The files, to be read between two slices."""
        assert self._files is not None
        return self._files.tree

    def feed(self, data: bytes, done: Done) -> None:
        """Send packed changes; `done` hears, at their time, why one could not be made, or None."""
        self._done.append(done)
        self._post(data)

    def arrive(self, data: bytes) -> None:
        """The time of some changes has come."""
        assert self._files is not None
        failure = None
        try:
            self._files.change(data)
        except OSError as error:
            failure = error
        if self._done:  # in a replay there is none to hear it
            self._done.popleft()(failure)
