# SPDX-License-Identifier: BSD-2-Clause
"""Output appended to a file."""

from __future__ import annotations

import os
import selectors
from pathlib import Path

from manager import files
from manager.backends.backend import Receive
from manager.errors import HostError


class FileBackend:
    """Appends what the guest sends to a file; there is no input.

    Raises HostError when the file cannot be opened. A write that fails later (a full disk) ends
    the writing, and `fault` says so: the guest must not depend on the host's disk.
    """

    backlog = 0

    connected: bool | None = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self.dropped = 0
        """Bytes that the file does not have."""
        self.fault = ""
        try:
            self._descriptor = files.open_output(path, os.O_APPEND, 0o644)
        except OSError as error:
            raise HostError(
                f"cannot write {path}: {error.strerror}",
                help="give the file backend a `path` in a directory that you can write to",
            ) from None

    def attach(self, selector: selectors.BaseSelector, receive: Receive) -> None:
        """A file needs no watching."""

    def write(self, data: bytes) -> None:
        """Append."""
        try:
            while data and self._descriptor >= 0:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            self.close()
            self.fault = str(error.strerror)
        self.dropped += len(data)

    def hold(self, held: bool) -> None:
        """There is no input to hold."""

    def poll(self) -> None:
        """Nothing is ever due."""

    def describe(self) -> str:
        """The file, and whether writing had to stop."""
        return f"file {self._path}" + (f", stopped: {self.fault}" if self.fault else "")

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            try:
                os.close(descriptor)
            except OSError as error:  # a network file system may report it only now
                self.fault = str(error.strerror)
