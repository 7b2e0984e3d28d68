# SPDX-License-Identifier: BSD-2-Clause
"""QEMU's control socket (QMP), as far as saving and loading a machine needs it."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.row import AbsentError

LONGEST = 60.0
POLL = 0.0005
NO_LIMIT = 1 << 40
"""Bytes a second; the default of 128 MiB/s would be what is measured."""


class Qmp:
    """A connection to a QEMU that was told `-qmp unix:PATH,server=on,wait=off`."""

    def __init__(self, path: Path) -> None:
        self._give_up = time.monotonic() + LONGEST
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(LONGEST)
        self._connect(path)
        self._lines = self._socket.makefile("rb")
        self._message()
        self.ask("qmp_capabilities")

    def __enter__(self) -> Qmp:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lines.close()
        self._socket.close()

    def ask(self, command: str, **arguments: Any) -> Any:
        """Have a command carried out. Raises AbsentError when QEMU refuses."""
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        request = {"execute": command, "arguments": named}
        self._socket.sendall(json.dumps(request).encode())
        while True:
            message = self._message()
            if "error" in message:
                raise AbsentError(f"QEMU: {command}: {message['error'].get('desc')}")
            if "return" in message:
                return message["return"]

    def share_ram(self) -> None:
        """Leave RAM that is a shared file out of what is saved and loaded."""
        capability = {"capability": "x-ignore-shared", "state": True}
        self.ask("migrate-set-capabilities", capabilities=[capability])

    def save(self, path: Path, ram: Path | None = None) -> float:
        """Save the machine, which then stands still.

        Returns the seconds until the file, and that of `ram`, are on disk.
        """
        self.ask("migrate-set-parameters", max_bandwidth=NO_LIMIT)
        began = time.perf_counter()
        self.ask("migrate", uri=f"exec:cat > {path}")
        while (status := self.ask("query-migrate")["status"]) != "completed":
            if status in ("failed", "cancelled") or time.monotonic() > self._give_up:
                raise AbsentError(f"QEMU: the state cannot be saved: {status}")
            time.sleep(POLL)
        for written in (path, ram):
            if written is not None:
                _flush(written)
        return time.perf_counter() - began

    def _connect(self, path: Path) -> None:
        while True:
            try:
                self._socket.connect(os.fspath(path))
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > self._give_up:
                    raise AbsentError("QEMU's control socket does not answer") from None
                time.sleep(POLL)
            else:
                return

    def _message(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise AbsentError("QEMU ended")
        message: dict[str, Any] = json.loads(line)
        return message


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
