# SPDX-License-Identifier: BSD-2-Clause
"""The command that makes anew what a machine boots from, and when it is to run.

It runs when a source has changed. What a run itself writes is no source: a file that two runs have
written, and that never changed outside of one, is a product. A change that comes during a run may
be the user's, so the command runs once more; what it still writes then counts as its own.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO

from manager.errors import HostError

SHOWN = 20
"""Lines of its output that are shown of a run that failed."""
_KEPT = 64 * 1024
"""Bytes of its output that are kept."""


class Rebuild:
    """One command, run by the shell, one at a time."""

    def __init__(self, command: str, sources: Sequence[Path]) -> None:
        self.command = command
        self.sources = sources
        self._edited: set[Path] = set()
        """Changed outside of a run."""
        self._written: set[Path] = set()
        """Changed during a run."""
        self._products: set[Path] = set()
        self._during: set[Path] = set()
        self._wanted = False
        self._is_second = False
        """Whether this run is because of changes during the one before."""
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._output = bytearray()
        self._began = 0.0

    @property
    def runs(self) -> bool:
        """Whether it is running."""
        return self._process is not None

    @property
    def is_wanted(self) -> bool:
        """Whether a source has changed since the last run."""
        return self._wanted

    def heard(self, paths: Iterable[Path]) -> None:
        """These files have changed."""
        mine = self._sources_in(paths)
        if self.runs:
            self._during |= mine
        elif mine:
            self._edited |= mine
            self._wanted = True

    def begin(self, selector: selectors.BaseSelector, done: Callable[[str | None], None]) -> None:
        """Run it; `done` is called with None when it succeeded, else with what went wrong."""
        self._wanted = False
        self._during.clear()
        self._output.clear()
        self._began = time.monotonic()
        process = subprocess.Popen(  # noqa: S602  the user's own command line
            self.command,
            shell=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._process = process
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._pidfd = os.pidfd_open(process.pid)
        selector.register(process.stdout, selectors.EVENT_READ, lambda _: self._read(selector))
        selector.register(self._pidfd, selectors.EVENT_READ, lambda _: self._ended(selector, done))

    def finish(self, paths: Iterable[Path]) -> None:
        """After a run, with the last changes: run again if one of them all may be the user's."""
        written = {path for path in self._during | self._sources_in(paths) if path.exists()}
        fresh = written - self._edited
        may_be_theirs = (written & self._edited) | (fresh - self._written)
        self._products |= fresh & self._written
        self._written |= fresh
        self._is_second = bool(may_be_theirs) and not self._is_second
        self._wanted = self._wanted or self._is_second

    def first(self, changed: Callable[[], set[Path]]) -> None:
        """Run it before the first start, with its output for the user to see.

        `changed` tells what it has written. Raises HostError when it fails.
        """
        status = subprocess.run(self.command, shell=True, check=False).returncode  # noqa: S602
        self._products |= {path for path in self._sources_in(changed()) if path.exists()}
        if status:
            raise HostError(f"{self.command!r} {_how(status)}", help="nothing was started")

    def seconds(self) -> float:
        """How long it runs, or ran."""
        return time.monotonic() - self._began

    def stop(self, selector: selectors.BaseSelector) -> None:
        """End it, if it runs; it is wanted again then."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait()
            self._close(selector, self._process)
            self._wanted = True

    def _sources_in(self, paths: Iterable[Path]) -> set[Path]:
        return {path for path in paths if self._is_source(path)} - self._products

    def _is_source(self, path: Path) -> bool:
        for root in self.sources:
            if path.is_relative_to(root):
                inside = path.relative_to(root).parts
                hidden = any(part.startswith(".") for part in inside)
                return not hidden and not path.name.endswith("~")
        return False

    def _read(self, selector: selectors.BaseSelector) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        if not self._take(self._process.stdout):
            selector.unregister(self._process.stdout)

    def _take(self, output: IO[bytes]) -> bool:
        """Take what there is; false at the end."""
        try:
            while data := os.read(output.fileno(), _KEPT):
                self._output += data
                del self._output[:-_KEPT]
        except BlockingIOError:
            return True
        return False

    def _ended(self, selector: selectors.BaseSelector, done: Callable[[str | None], None]) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        process = self._process
        self._take(process.stdout)  # type: ignore[arg-type]
        status = process.wait()
        self._close(selector, process)
        done(None if status == 0 else f"{self.command!r} {_how(status)}{self._last_lines()}")

    def _close(self, selector: selectors.BaseSelector, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for item in (self._pidfd, process.stdout):
            if item in selector.get_map():
                selector.unregister(item)
        process.stdout.close()
        os.close(self._pidfd)
        self._process = None

    def _last_lines(self) -> str:
        lines = self._output.decode(errors="replace").rstrip().split("\n")[-SHOWN:]
        return "".join(f"\n  | {line.rstrip()}" for line in lines if line)


def _how(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"failed with exit code {status}"
