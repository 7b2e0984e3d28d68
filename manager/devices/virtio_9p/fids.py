# SPDX-License-Identifier: BSD-2-Clause
"""What a 9P client has open: its fids, in the record as they are."""

from __future__ import annotations

import errno
import struct
from collections import Counter
from typing import NamedTuple

from manager.bus.record import Record, octets, uint
from manager.lazy import dataclass
from manager.storage.share.layout import failure

MAX_FIDS = 1 << 16
_FID = struct.Struct("<IIIiII")

OPEN, READABLE, WRITABLE, APPENDING = 1, 2, 4, 8
"""What a fid may be used for."""


class Fid(NamedTuple):
    """What the client calls `number`."""

    number: int
    node: int
    directory: int
    """The directory that it was found in."""
    slot: int
    """The place of its name there, when it was found; -1 for none."""
    uid: int
    """Of the user who attached: new files are his."""
    use: int = 0
    """OPEN and others; 0 for one that is not open."""


@dataclass(slots=True)
class SessionState(Record):
    """What was agreed with a client, and what it has open."""

    TYPE = "virtio-9p-session"

    msize: int = uint(32, "largest message; 0 before a version is agreed", unit="bytes")
    fids: bytearray = octets(
        0, MAX_FIDS * _FID.size, "of each: number, node, directory, place there, user, use"
    )

    def contradiction(self) -> str:
        """Fids are whole, and each is there once."""
        if len(self.fids) % _FID.size:
            return f"{len(self.fids)} bytes are no whole number of fids"
        numbers = [number for number, *_ in _FID.iter_unpack(self.fids)]
        if len(set(numbers)) < len(numbers):
            return "a fid is there twice"
        return ""


class Fids:
    """The fids of a record, found by number."""

    def __init__(self) -> None:
        self.state = SessionState()
        self._places: dict[int, int] = {}
        self._users: Counter[int] = Counter()

    def adopt(self, state: SessionState) -> None:
        """Take over a record."""
        self.state = state
        self._places.clear()
        self._users.clear()
        for at in range(0, len(state.fids), _FID.size):
            fid = self._at(at)
            self._places[fid.number] = at
            self._users[fid.node] += 1

    def __contains__(self, number: int) -> bool:
        return number in self._places

    def __getitem__(self, number: int) -> Fid:
        """Raises OSError, EBADF."""
        at = self._places.get(number)
        if at is None:
            raise failure(errno.EBADF)
        return self._at(at)

    def put(self, fid: Fid) -> int | None:
        """Add a fid or change it; a node that no fid is for any more. Raises OSError, EMFILE."""
        at = self._places.get(fid.number)
        lost = None
        if at is None:
            if len(self._places) >= MAX_FIDS:
                raise failure(errno.EMFILE)
            at = self._places[fid.number] = len(self.state.fids)
            self.state.fids += bytes(_FID.size)
            self._users[fid.node] += 1
        elif (before := self._at(at)).node != fid.node:
            self._users[fid.node] += 1
            lost = self._leave(before.node)
        _FID.pack_into(self.state.fids, at, *fid)
        return lost

    def drop(self, number: int) -> int | None:
        """Remove a fid; its node if no other fid is for it. Raises OSError, EBADF."""
        node = self[number].node
        at, fids = self._places.pop(number), self.state.fids
        last = len(fids) - _FID.size
        if at != last:  # the last one takes its place
            fids[at : at + _FID.size] = fids[last:]
            self._places[self._at(at).number] = at
        del fids[last:]
        return self._leave(node)

    def clear(self) -> list[int]:
        """Remove all; the nodes that they were for."""
        nodes = sorted(self._users)
        self.state.fids.clear()
        self._places.clear()
        self._users.clear()
        return nodes

    def nodes(self) -> frozenset[int]:
        """The nodes that fids are for."""
        return frozenset(self._users)

    def uses(self, node: int) -> bool:
        """Whether a fid is for a node."""
        return node in self._users

    def _at(self, at: int) -> Fid:
        return Fid(*_FID.unpack_from(self.state.fids, at))

    def _leave(self, node: int) -> int | None:
        self._users[node] -= 1
        if self._users[node]:
            return None
        del self._users[node]
        return node
