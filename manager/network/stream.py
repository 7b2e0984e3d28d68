# SPDX-License-Identifier: BSD-2-Clause
"""Frames over a stream socket, each after its length: 32 bits, big-endian.

passt(1) and QEMU's `-netdev stream` speak it.
"""

from __future__ import annotations

import selectors
import socket
import struct

from manager.backends.watch import READ, WRITE, Watch
from manager.network.peer import Side

LENGTH = struct.Struct(">I")
LONGEST = 1 << 16
"""Bytes of a frame beyond which the other side cannot be understood."""
CHUNK = 256 << 10
"""Bytes that are read at a time."""
BACKLOG = 1 << 20
"""Bytes that wait for the host at most; then frames are dropped, as by a switch."""
AHEAD = 8 << 20
"""Bytes that wait for the guest, at most. passt drops what is not read at once, and then sends all
of a window again, so more is read than a card can hold."""


class FrameStream:
    """One connected socket, which it makes non-blocking and closes."""

    def __init__(
        self, connected: socket.socket, selector: selectors.BaseSelector, side: Side
    ) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._side = side
        self._read = bytearray()
        self._taken = 0
        self._unsent = bytearray()
        self._held = False
        self.dropped = 0
        """Frames."""
        self._watch: Watch | None = Watch(selector, connected.fileno(), self._ready)
        self._watch.want(READ)

    def send(self, frame: bytes) -> None:
        """Send a frame, or keep it until the host takes it; one too many is dropped."""
        if self._watch is None:
            return
        if len(self._unsent) > BACKLOG:
            self.dropped += 1
            return
        was_empty = not self._unsent
        self._unsent += LENGTH.pack(len(frame)) + frame
        if was_empty:
            self._flush()

    def hold(self, held: bool) -> None:
        """Keep frames from the card while `held`."""
        self._held = held
        if not held:
            self._deliver()
        self._want()

    def close(self) -> None:
        """Close the socket."""
        if self._watch is not None:
            self._watch.want(0)
            self._watch = None
            self._socket.close()

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if events & READ and self._watch is not None:
            self._receive()

    def _flush(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError as error:
            self._lose(str(error.strerror))
        self._want()

    def _receive(self) -> None:
        why = ""
        try:
            while not why and len(self._read) < AHEAD:
                data = self._socket.recv(CHUNK)
                self._read += data
                why = "" if data else "it closed the connection"
        except BlockingIOError:
            pass
        except OSError as error:
            why = str(error.strerror)
        self._deliver()
        self._want()
        if why:
            self._lose(why)

    def _deliver(self) -> None:
        """Hand whole frames to the card until it is held."""
        data, at = self._read, self._taken
        while not self._held and self._watch is not None and len(data) - at >= LENGTH.size:
            (length,) = LENGTH.unpack_from(data, at)
            if length > LONGEST:
                self._lose(f"it sent a frame of {length} bytes")
                return
            end = at + LENGTH.size + length
            if len(data) < end:
                break
            self._taken = end
            self._side.receive(bytes(data[at + LENGTH.size : end]))
            at = end
        if at == len(data) or at > AHEAD // 2:
            del data[:at]
            self._taken = 0

    def _want(self) -> None:
        if self._watch is not None:
            reads = READ if len(self._read) < AHEAD else 0
            self._watch.want(reads | (WRITE if self._unsent else 0))

    def _lose(self, why: str) -> None:
        if self._watch is not None:
            self.close()
            self._side.lost(why)
