# SPDX-License-Identifier: BSD-2-Clause
"""Every way vmmgr can fail, and the exit code that goes with it."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from manager.text.shown import shown_lines


class ExitCode(IntEnum):
    """Process exit codes and what they mean; scripts rely on them (docs/exit-codes.md)."""

    meaning: str

    def __new__(cls, code: int, meaning: str = "") -> ExitCode:
        """A code with what `--help` says of it."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    @property
    def word(self) -> str:
        """Its name where a program reads it, such as `guest-fault`."""
        return self.name.lower().replace("_", "-")

    OK = 0, "done"
    FAILURE = 1, "a failure at run time"
    USAGE = 2, "a wrong command line or machine file"
    NO_SUCH_MACHINE = 3, "no such machine"
    WRONG_STATE = 4, "the machine is in the wrong state for this command"
    SNAPSHOT_MISMATCH = 5, "a snapshot does not match the machine file"
    GUEST_FAULT = 6, "the guest faulted: a triple fault, or what the engine cannot execute"
    SNAPSHOT_CORRUPT = 7, "a snapshot is damaged or cannot be read"
    FAIL_ON_MATCHED = 8, "--fail-on matched"
    TIME_BUDGET = 124, "the time budget is used up"
    INTERRUPTED = 130, "interrupted"


class VmmgrError(Exception):
    """A failure that a user can act on: what is wrong, where, and what to do.

    `message` names the place and the fault in one line; `help` is the remedy.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.FAILURE

    def __init__(self, message: str, *, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help

    def __str__(self) -> str:
        text = f"{self.message}\n   = help: {self.help}" if self.help else self.message
        return shown_lines(text)

    def report(self, *, colour: bool = False) -> str:
        """What a terminal shows, without a newline at its end; in colour by ECMA-48's SGR."""
        if not colour:
            return f"error: {self}"
        message, help = shown_lines(self.message), shown_lines(self.help or "")
        text = f"\x1b[1;31merror\x1b[0m\x1b[1m: {message}\x1b[0m"
        if help:
            text += f"\n   \x1b[1;34m=\x1b[0m \x1b[1;36mhelp\x1b[0m: {help}"
        return text


class HostError(VmmgrError):
    """The host refused something: a file, a socket, memory, the engine."""


def native_parts_missing(why: str) -> HostError:
    """What is written in C was not built; `why` is the import's failure."""
    return HostError(
        f"vmmgr's native parts are not built, and nothing can run a guest without them: {why}",
        help="get a C compiler and Python's headers (on Debian: apt install gcc python3-dev), "
        "then: pip install --force-reinstall --no-deps vmmgr",
    )


class UsageError(VmmgrError):
    """A wrong command line or machine file."""

    exit_code = ExitCode.USAGE


class NoSuchMachineError(VmmgrError):
    """No machine of that name has any state."""

    exit_code = ExitCode.NO_SUCH_MACHINE


class WrongStateError(VmmgrError):
    """The machine exists, but the command needs it running, or stopped, or suspended."""

    exit_code = ExitCode.WRONG_STATE


class SnapshotMismatchError(VmmgrError):
    """The snapshot's device set is not the machine file's."""

    exit_code = ExitCode.SNAPSHOT_MISMATCH


class GuestFaultError(VmmgrError):
    """The guest triple-faulted, or ran what the engine cannot execute."""

    exit_code = ExitCode.GUEST_FAULT


class SnapshotCorruptError(VmmgrError):
    """A snapshot cannot be read, or its content does not match its own hashes."""

    exit_code = ExitCode.SNAPSHOT_CORRUPT
