# SPDX-License-Identifier: BSD-2-Clause
"""Leaving the terminal: the process in the background reports to the command that started it."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path

from manager import files
from manager.client.protocol import code_of, encode
from manager.client.reports import Report
from manager.errors import VmmgrError
from manager.text.shown import loud

PATIENCE = 5.0
"""Seconds that the starting command gets to read a report."""
OUTPUT_PIECE = 512
"""Bytes of output in one report: encoded, they fit in what a pipe takes at once."""


class Reporter:
    """The background's end. Once the command is gone, reports are dropped.

    A command that does not read does not block the machine: output is left out, and anything
    else waits PATIENCE seconds before the listener counts as gone.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poller = select.poll()
        if descriptor >= 0:
            os.set_blocking(descriptor, False)
            self._poller.register(descriptor, select.POLLOUT)

    def report(self, event: Report) -> None:
        """Tell the starting command."""
        self._write(event, PATIENCE)

    def output(self, data: bytes) -> None:
        """Tell the starting command what the console shows, if it listens."""
        for start in range(0, len(data), OUTPUT_PIECE):
            self._write({"output": data[start : start + OUTPUT_PIECE].decode("latin-1")}, 0)

    def close(self) -> None:
        """Let the starting command go."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, event: Report, patience: float) -> None:
        line = encode(event)
        while line and self._descriptor >= 0:
            if not self._poller.poll(patience * 1000):
                if patience:
                    self.close()
                return
            patience = PATIENCE  # a line that was begun is ended
            try:
                line = line[os.write(self._descriptor, line) :]
            except BlockingIOError:
                continue
            except OSError:
                self.close()


def detach(body: Callable[[Reporter], object], log: Path) -> int:
    """Run `body` in a process of its own session; returns a descriptor of its reports.

    What goes wrong before `body` closes the reporter is reported as an error; whatever the process
    writes to its standard error goes to the file `log`.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        os.waitpid(child, 0)
        return reader
    # Forked twice: no session leader, so no terminal opened later becomes ours.
    try:
        os.close(reader)
        os.setsid()
        if os.fork():
            os._exit(0)
        _redirect(log)
        _run(body, Reporter(writer))
    finally:
        os._exit(0)


def _run(body: Callable[[Reporter], object], reporter: Reporter) -> None:
    try:
        body(reporter)
    except VmmgrError as error:
        reporter.report(
            {"error": {"code": code_of(error), "message": error.message, "help": error.help}}
        )
        with contextlib.suppress(OSError):  # the log's disk may be full
            print(error, file=sys.stderr, flush=True)
    except BaseException as error:
        message = f"internal error in the machine's process: {error!r}"
        reporter.report({"error": {"code": "failure", "message": message, "help": None}})
        import traceback

        with contextlib.suppress(OSError):
            traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        reporter.close()


def _redirect(log: Path) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    try:
        messages = files.open_own(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except OSError:
        messages = os.dup(nowhere)  # what else the host refuses is reported, not logged
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.dup2(messages, 2)
    sys.stderr = loud(sys.stderr)  # who is quiet to the user still writes the log
    os.close(nowhere)
    os.close(messages)
