# SPDX-License-Identifier: BSD-2-Clause
"""One line typed at a terminal that is in raw mode."""

from __future__ import annotations

_ENTER = b"\r\n"
_BACKSPACE = b"\x08\x7f"
_GIVE_UP = b"\x03\x04\x1b"


class LineInput:
    """Collects a line. `result` is None until Enter; giving up (Ctrl-C, Esc) makes it empty."""

    def __init__(self) -> None:
        self.result: str | None = None
        self._line = bytearray()

    def typed(self, data: bytes) -> str:
        """Take keys; returns what to echo."""
        echo = ""
        for byte in data:
            if byte in _ENTER or byte in _GIVE_UP:
                self.result = "" if byte in _GIVE_UP else self._line.decode(errors="replace")
                return echo + "\r\n"
            if byte in _BACKSPACE:
                echo += "\b \b" if self._line else ""
                del self._line[-1:]
            elif byte >= 0x20:
                self._line.append(byte)
                echo += chr(byte) if byte < 0x7F else ""
        return echo
