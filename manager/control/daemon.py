# SPDX-License-Identifier: BSD-2-Clause
"""Leaving the terminal: the owner in the background reports to the command that started it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from manager.control.protocol import code_of, encode
from manager.errors import HostError, VmmgrError

Event = dict[str, Any]
"""One report: {"up"}, {"output"}, {"ready"}, {"unready"} or {"error"}."""


class Reporter:
    """The background's end. Once nobody listens, reports go nowhere."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def report(self, event: Event) -> None:
        """Tell the starting command."""
        if self._descriptor < 0:
            return
        line = encode(event)
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
        except OSError:
            self.close()

    def close(self) -> None:
        """Let the starting command go."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


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
            try:
                event = json.loads(line)
            except ValueError:
                raise HostError("the machine's process died while it was reporting") from None
            yield event


def _run(body: Callable[[Reporter], object], reporter: Reporter) -> None:
    try:
        body(reporter)
    except VmmgrError as error:
        print(error, file=sys.stderr)
        reporter.report(
            {"error": {"code": code_of(error), "message": error.message, "help": error.help}}
        )
    except BaseException as error:
        traceback.print_exc()
        message = f"internal error in the machine's process: {error!r}"
        reporter.report({"error": {"code": "failure", "message": message, "help": None}})
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        reporter.close()


def _redirect(log: Path) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    messages = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.dup2(messages, 2)
    os.close(nowhere)
    os.close(messages)
