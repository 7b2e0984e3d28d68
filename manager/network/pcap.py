# SPDX-License-Identifier: BSD-2-Clause
"""A file of frames in pcap's format, with the guest's time to the nanosecond.

Source: draft-ietf-opsawg-pcap. The same run writes the same bytes.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from manager import files
from manager.errors import HostError

MAGIC_NANOSECONDS = 0xA1B23C4D
ETHERNET = 1
LONGEST = 0xFFFF
SECOND = 1_000_000_000
HEADER = struct.pack("<IHHIIII", MAGIC_NANOSECONDS, 2, 4, 0, 0, LONGEST, ETHERNET)
PACKET = struct.Struct("<IIII")
"""Seconds, nanoseconds, bytes that are here, bytes that the frame had."""


class Capture:
    """Appends to `path`, or begins it anew. `epoch` is the calendar's time at virtual time 0, in s.

    Raises HostError when the file cannot be opened. A failure after that ends the capture: `fault`.
    """

    def __init__(self, path: Path, epoch: int, *, anew: bool) -> None:
        self.path = path
        """Where it is."""
        self._epoch = epoch * SECOND
        self.fault = ""
        """Why frames are missing, if they are."""
        try:
            descriptor = files.open_output(path, os.O_TRUNC if anew else os.O_APPEND)
            self._file: BinaryIO = os.fdopen(descriptor, "wb" if anew else "ab")
            if self._file.tell() == 0:
                self._file.write(HEADER)
                self._file.flush()
        except OSError as error:
            raise HostError(f"{path}: cannot be written: {error.strerror}") from None

    def add(self, at: int, frame: bytes) -> None:
        """A frame that was on the wire at virtual time `at`, in ns."""
        if self.fault:
            return
        seconds, rest = divmod(self._epoch + at, SECOND)
        self._do(PACKET.pack(seconds & 0xFFFFFFFF, rest, len(frame), len(frame)) + frame)

    def flush(self) -> None:
        """Let readers see all of it."""
        self._do(b"")

    def rewind(self, now: int) -> None:
        """The machine is at `now` again: what came later was not."""
        self.flush()
        end = self._epoch + now
        with suppress(OSError), self.path.open("rb") as file:
            place = len(HEADER)
            file.seek(place)
            while len(head := file.read(PACKET.size)) == PACKET.size:
                seconds, rest, length, _ = PACKET.unpack(head)
                if seconds * SECOND + rest > end:
                    break
                place = file.seek(length, os.SEEK_CUR)
            self._file.truncate(place)
            self._file.seek(place)

    def close(self) -> None:
        """Write the rest."""
        self.flush()
        with suppress(OSError):
            self._file.close()

    def _do(self, data: bytes) -> None:
        try:
            if data:
                self._file.write(data)
            elif not self._file.closed:
                self._file.flush()
        except OSError as error:
            self.fault = self.fault or error.strerror or "cannot write"
