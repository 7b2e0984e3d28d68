# SPDX-License-Identifier: BSD-2-Clause
"""What a device may say of an access while it answers it, so that the next need not come to it."""

from __future__ import annotations

import sys
from typing import Protocol

UNBOUNDED = sys.maxsize


class Grants(Protocol):
    """Answers to the next accesses, which hold until anything happens.

    They are void as soon as any Python of the machine runs but a read that is steady: another
    access to this device or another, a timer, input, the host. So what a device remembers cannot
    change under a grant. Nothing is charged otherwise, and a guest cannot tell. Each is called by
    the method that answers the access itself, once, at its end.
    """

    def steady(self, size: int = 1, /) -> None:
        """The read under way has changed nothing, and the next gives the same.

        `size` is how many bytes are meant: 1 of a device of byte-wide registers, else the size of
        the access. Not for what depends on the time, and not for what an absorbed write changes.
        """

    def absorb(self, buffer: bytearray | None, most: int = UNBOUNDED, size: int = 1) -> None:
        """The next writes like the one under way only add their bytes, little-endian, to `buffer`.

        They come to the device again when there would be more than `most` bytes. With None they do
        nothing at all. `size` is as for `steady`.
        """


class _None:
    """Each access comes to its device."""

    __slots__ = ()

    def steady(self, size: int = 1, /) -> None:
        """Grant nothing."""

    def absorb(self, buffer: bytearray | None, most: int = UNBOUNDED, size: int = 1) -> None:
        """Grant nothing."""


NO_GRANTS: Grants = _None()
