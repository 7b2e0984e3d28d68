# SPDX-License-Identifier: BSD-2-Clause
"""gdb's remote serial protocol, the framing: `$data#checksum`, acknowledgements, interrupts.

Source: the GDB manual, appendix "GDB Remote Serial Protocol", Overview.
"""

from __future__ import annotations

from collections.abc import Iterator

INTERRUPT = 0x03
"""Sent without a frame while the target runs: stop it."""
ACK, NAK = b"+", b"-"
OK, UNKNOWN, FAILED = b"OK", b"", b"E01"
NO_MEMORY = b"E14"
"""EFAULT."""
LONGEST = 0x4000
"""Bytes of a packet's data, either way."""
_ESCAPE = 0x7D
_ESCAPED = b"#$*}"
_FLIP = 0x20


class Interrupt:
    """The user pressed Ctrl-C in gdb."""


def frame(data: bytes) -> bytes:
    """The packet for `data`, which must not need escapes.

    >>> frame(b"OK")
    b'$OK#9a'
    """
    return b"$%s#%02x" % (data, sum(data) & 0xFF)


def escape(data: bytes) -> bytes:
    """Binary data as the content of a packet."""
    return b"".join(
        bytes((_ESCAPE, byte ^ _FLIP)) if byte in _ESCAPED else bytes((byte,)) for byte in data
    )


def unescape(data: bytes) -> bytes:
    """Binary data out of a packet's content."""
    pieces = data.split(bytes((_ESCAPE,)))
    return pieces[0] + b"".join(
        bytes((piece[0] ^ _FLIP,)) + piece[1:] for piece in pieces[1:] if piece
    )


class Reader:
    """Cuts what gdb sends into packets. What is no packet is skipped; nothing is kept for long."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.acknowledge: bytes = b""
        """What the packets read last are to be answered with: ACK or NAK for each."""

    def feed(self, data: bytes) -> Iterator[bytes | Interrupt]:
        """The packets' contents and interrupts that are complete with `data`."""
        self._buffer += data
        self.acknowledge = b""
        found: list[bytes | Interrupt] = []
        while (item := self._next()) is not None:
            if item is not _NOTHING:
                found.append(item)
        return iter(found)

    def _next(self) -> bytes | Interrupt | None:
        """One piece; None when more has to come, _NOTHING for what is skipped."""
        buffer = self._buffer
        if not buffer:
            return None
        if buffer[0] == INTERRUPT:
            del buffer[0]
            return Interrupt()
        if buffer[:1] != b"$":
            del buffer[0]
            return _NOTHING
        end = buffer.find(b"#")
        if end < 0 or len(buffer) < end + 3:
            if len(buffer) > 2 * LONGEST:
                buffer.clear()
            return None
        content, checksum = bytes(buffer[1:end]), bytes(buffer[end + 1 : end + 3])
        del buffer[: end + 3]
        if checksum.lower() != b"%02x" % (sum(content) & 0xFF):
            self.acknowledge += NAK
            return _NOTHING
        self.acknowledge += ACK
        return content


_NOTHING = Interrupt()
