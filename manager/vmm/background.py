# SPDX-License-Identifier: BSD-2-Clause
"""Leaving the terminal: the owner in the background reports to the command that started it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import selectors
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from manager.client.protocol import code_of, encode
from manager.errors import HostError, VmmgrError

PATIENCE = 5.0
"""Seconds that the starting command gets to read a report."""
OUTPUT_PIECE = 512
"""Bytes of output in one report: encoded, they fit in what a pipe takes at once."""

K = TypeVar("K")
"""Which machine a report is of."""
Event = dict[str, Any]
"""One report: {"up"}, {"output"}, {"ready"}, {"unready"} or {"error"}."""


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

    def report(self, event: Event) -> None:
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

    def _write(self, event: Event, patience: float) -> None:
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
    """Run `body` in a process of its own session; returns a descriptor to `follow`.

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


def follow(descriptor: int) -> Iterator[Event]:
    """The background's reports, until it closes its end. Raises HostError for a broken one."""
    with os.fdopen(descriptor, "rb") as pipe:
        for line in pipe:
            yield _parsed(line)


def follow_all(descriptors: Mapping[K, int]) -> Iterator[tuple[K, Event | None]]:
    """The reports of several, as they come; None for each one's end. Raises HostError."""
    with selectors.DefaultSelector() as selector:
        received: dict[K, bytes] = {}
        for name, descriptor in descriptors.items():
            selector.register(descriptor, selectors.EVENT_READ, name)
            received[name] = b""
        while received:
            for key, _ in selector.select():
                name = key.data
                data = os.read(key.fd, 65536)
                *lines, received[name] = (received[name] + data).split(b"\n")
                for line in lines:
                    yield name, _parsed(line)
                if not data:
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    del received[name]
                    yield name, None


def _parsed(line: bytes) -> Event:
    try:
        event: Event = json.loads(line)
    except ValueError:
        raise HostError("the machine's process died while it was reporting") from None
    return event


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
        with contextlib.suppress(OSError):
            traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        reporter.close()


def _redirect(log: Path) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    try:
        messages = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError:
        messages = os.dup(nowhere)  # what else the host refuses is reported, not logged
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.dup2(messages, 2)
    os.close(nowhere)
    os.close(messages)
