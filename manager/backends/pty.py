# SPDX-License-Identifier: BSD-2-Clause
"""A pseudo-terminal, for terminal programs: screen, picocom, cu."""

from __future__ import annotations

import os
import selectors
import tty
from pathlib import Path

from manager.backends.backend import HIGH_WATER, Receive
from manager.backends.link import Link
from manager.backends.outbox import Outbox
from manager.errors import HostError


class PtyBackend:
    """A fresh pty in raw mode, with an optional symbolic link at `path` that outlives its number.

    What is sent without a reader is kept, the last HIGH_WATER bytes of it. Programs may come
    and go. Raises HostError when the host has no pty left or the link cannot be made.
    """

    fault = ""
    connected: bool | None = None

    def __init__(self, path: Path | None = None) -> None:
        try:
            self._master, self._slave = os.openpty()
        except OSError as error:
            raise HostError(f"cannot open a pty: {error.strerror}") from None
        # Our own slave descriptor stays open: without it the master would report an error, again
        # and again, from one program's end to the next one's start.
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._name = os.ttyname(self._slave)
        self._path = path
        self._link: Link | None = None
        self._outbox = Outbox(HIGH_WATER)
        if path is not None:
            try:
                _point(path, self._name)
            except HostError:
                self._path = None
                self.close()
                raise

    @property
    def backlog(self) -> int:
        """Bytes that wait for a reader; never above HIGH_WATER, as there may be no reader."""
        return len(self._outbox)

    @property
    def dropped(self) -> int:
        """Bytes that were not read in time."""
        return self._outbox.dropped

    def attach(self, selector: selectors.BaseSelector, receive: Receive) -> None:
        """Watch the master."""
        self._link = Link(self._master, self._outbox, receive, self.close)
        self._link.attach(selector)

    def write(self, data: bytes) -> None:
        """Send to the program that has the pty open, or will open it."""
        if self._link is not None:
            self._link.write(data)
        else:
            self._outbox.put(data)

    def hold(self, held: bool) -> None:
        """Leave input in the pty while `held`."""
        if self._link is not None:
            self._link.hold(held)

    def poll(self) -> None:
        """Nothing is ever due."""

    def describe(self) -> str:
        """The pty's name, and the link's."""
        return f"pty {self._name}" + (f" ({self._path})" if self._path else "")

    def close(self) -> None:
        """Close both ends, and remove the link if it is still ours."""
        if self._link is not None:
            self._link.detach()
            self._link = None
        if self._master < 0:
            return
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1
        if self._path and self._path.is_symlink() and str(self._path.readlink()) == self._name:
            self._path.unlink(missing_ok=True)


def _point(path: Path, target: str) -> None:
    """Make `path` a symbolic link to `target`, in place of an older link only."""
    try:
        if path.is_symlink():
            path.unlink()
        path.symlink_to(target)
    except FileExistsError:
        raise HostError(
            f"{path} is in the way: it is not a symbolic link",
            help="remove it, or give the pty backend another `path`",
        ) from None
    except OSError as error:
        raise HostError(f"cannot make the link {path}: {error.strerror}") from None
