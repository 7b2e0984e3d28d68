# SPDX-License-Identifier: BSD-2-Clause
"""The user's end of a console: a terminal or pipes on one side, a control socket on the other."""

from __future__ import annotations

import base64
import contextlib
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from manager.backends.terminal import RawTerminal
from manager.client.client import Client, HungUpError, Message, result_of
from manager.client.keys import DEFAULT_ESCAPE, Action, Keys, Typed, name_of
from manager.client.line_input import LineInput
from manager.client.protocol import with_resets
from manager.errors import ExitCode, VmmgrError
from manager.text.shown import shown_lines, unfiltered

CHUNK = 16384
"""Bytes of input in one request."""
RETRY = 0.02
"""Seconds until input that the guest had no room for is offered again."""
QUEUE_LIMIT = 64 * 1024
"""Bytes typed ahead before the terminal is no longer read."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a console is to be like."""

    port: str | None = None
    mode: Literal["read", "write", "take"] = "write"
    escape: int | None = DEFAULT_ESCAPE
    replay: int = 4096
    attended: bool = False
    """The console belongs to the machine's start: it lets it begin, and two interrupts or a
    SIGTERM here end it."""


@dataclass(frozen=True, slots=True)
class Left:
    """How a console came to its end."""

    kind: Literal["detached", "suspended", "ended", "crashed", "interrupted"]
    text: str = ""
    status: int = ExitCode.OK
    """The exit code of the machine's end."""

    @property
    def is_end(self) -> bool:
        """Whether the machine's process ends too."""
        return self.kind in ("suspended", "ended")


@dataclass(slots=True)
class _Sending:
    """A file on its way to the guest."""

    file: IO[bytes]
    name: str
    sent: int = 0


@dataclass(slots=True)
class _State:
    left: Left | None = None
    writes: bool = False
    paused: bool = False
    begins: bool = False
    """The machine was only waiting for this console, so that its going on is no news."""
    port: str = ""
    held: bytearray = field(default_factory=bytearray)
    """Typed, and not accepted yet."""
    request: int | None = None
    """The id of the `write` that is under way."""
    retry_at: float | None = None
    commands: dict[int, str] = field(default_factory=dict)
    interrupts: int = 0


class Console:
    """Attaches to a port and stays until the user detaches or the machine is gone.

    Messages go to standard error; standard output has the port's bytes and nothing else.
    """

    def __init__(self, client: Client, name: str, options: Options) -> None:
        self._client = client
        self._name = name
        self._options = options
        self._terminal = RawTerminal(0)
        self._keys = Keys(options.escape if os.isatty(0) else None)
        self._state = _State()
        self._log: IO[bytes] | None = None
        self._sending: _Sending | None = None
        self._prompt: LineInput | None = None
        self._selector = selectors.PollSelector()
        self._open = True
        self._reading = False

    def run(self) -> Left:
        """Be the console. Raises VmmgrError when the port cannot be attached."""
        options = self._options
        attached = self._client.execute(
            "attach", mode=options.mode, replay=options.replay, **_named(options.port)
        )
        status = self._client.execute("subscribe")
        self._state.port = attached["port"]
        self._state.writes = attached["writes"]
        self._state.paused = status["state"] == "paused"
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._terminal)
            stack.callback(self._close)
            self._watch_signals(stack)
            self._greet(attached)
            self._print(base64.b64decode(attached["replay"]))
            if options.attended and self._state.paused:
                self._state.begins = True
                self._ask("continue")
            self._selector.register(self._client, selectors.EVENT_READ, self._hear)
            while self._state.left is None:
                self._turn()
            self._leave()
        return self._state.left

    # -- one turn -------------------------------------------------------------------------

    def _turn(self) -> None:
        self._offer()
        self._watch_input()
        wait = None
        if self._state.retry_at is not None:
            wait = max(0.0, self._state.retry_at - time.monotonic())
        for key, _ in self._selector.select(wait):
            key.data()

    def _watch_input(self) -> None:
        wanted = self._open and len(self._state.held) < QUEUE_LIMIT
        if wanted and not self._reading:
            self._selector.register(0, selectors.EVENT_READ, self._read)
        elif self._reading and not wanted:
            self._selector.unregister(0)
        self._reading = wanted

    def _read(self) -> None:
        try:
            data = os.read(0, CHUNK)
        except OSError:  # the terminal is gone
            data = b""
        if data:
            for item in self._keys.read(data):
                if isinstance(item, Typed):
                    self._type(item.data)
                else:
                    self._act(item)
        elif self._terminal.is_raw:
            self._state.left = Left("detached")
        else:
            self._open = False  # the end of a pipe ends the input alone

    def _type(self, data: bytes) -> None:
        if self._prompt is not None:
            self._prompt_typed(data)
        elif self._state.writes:
            self._state.held += data
        elif self._terminal.is_raw:
            self.say("read-only; Enter ~w makes you the one who types")

    def _offer(self) -> None:
        """Send what was typed, one request at a time, as the guest has room."""
        state = self._state
        if state.request is not None or not self._may_retry():
            return
        if not state.held and self._sending is not None:
            self._read_file(self._sending)
        if state.held:
            data = base64.b64encode(bytes(state.held[:CHUNK])).decode("ascii")
            state.request = self._ask("write", base64=data)

    def _may_retry(self) -> bool:
        state = self._state
        if state.retry_at is not None and time.monotonic() < state.retry_at:
            return False
        state.retry_at = None
        return True

    def _ask(self, command: str, **arguments: Any) -> int | None:
        try:
            id = self._client.request(command, **arguments)
        except HungUpError:
            return None  # the machine's last output is still to be read
        self._state.commands[id] = command
        return id

    # -- what the machine says ------------------------------------------------------------

    def _hear(self) -> None:
        try:
            for message in self._client.ready_messages():
                if "event" in message:
                    self._event(message["event"], message.get("data", {}))
                else:
                    self._answer(message)
        except HungUpError:
            if self._state.left is None:
                self._state.left = Left(
                    "crashed", f"{self._name} crashed: its process is gone", ExitCode.FAILURE
                )

    def _event(self, event: str, data: Message) -> None:
        if event == "output":
            self._print(base64.b64decode(data["base64"]))
        elif event == "skipped":
            self.say(f"{data['bytes']} bytes skipped; the log has them")
        elif event == "read-only":
            self._state.writes = False
            self.say(f"process {data['taken-by']} types now; Enter ~w takes it back")
        elif event in ("paused", "continued"):
            self._state.paused = event == "paused"
            if not self._state.begins:
                self.say(event)
            self._state.begins = False
        elif event == "ready":
            self.say(f"{self._name} is ready: {data['detail']}")
        elif event == "unready":
            self.say(f"{self._name}: {data['detail']}")
        elif event in ("suspend-failed", "warning"):
            self.say(data["message"])
        elif event == "suspended":
            self._state.left = Left(
                "suspended",
                f"{self._name} suspended to {data['snapshot']}; "
                f"resume it with `vmmgr resume {self._name}`",
            )
        elif event == "ended":
            self._state.left = Left("ended", _epitaph(self._name, data), data["status"])

    def _answer(self, message: Message) -> None:
        state = self._state
        command = state.commands.pop(message.get("id", 0), "")
        try:
            result = result_of(message)
        except VmmgrError as error:
            self.say(error.message)
            if command == "write":
                state.request = None
                state.held.clear()
            return
        if command == "write":
            state.request = None
            del state.held[: result["accepted"]]
            if result["accepted"] == 0:
                state.retry_at = time.monotonic() + RETRY
        elif command == "take":
            state.writes = True
            self.say("you type now")
        elif command == "break":
            self.say("break sent")

    # -- what the user wants --------------------------------------------------------------

    def _act(self, action: Action) -> None:
        actions: dict[Action, Callable[[], object]] = {
            "detach": self._detach,
            "help": lambda: self.say("\n".join(["keys:", *self._keys.help()])),
            "break": lambda: self._ask("break"),
            "suspend": lambda: self._ask("suspend"),
            "pause": lambda: self._ask("continue" if self._state.paused else "pause"),
            "take": lambda: self._ask("take"),
            "power-button": lambda: self._ask("power-button"),
            "log": self._toggle_log,
            "send-file": self._ask_for_file,
        }
        actions[action]()

    def _detach(self) -> None:
        self._state.left = Left(
            "detached",
            f"detached; {self._name} runs on. `vmmgr console {self._name}` comes back, "
            f"`vmmgr down {self._name}` ends it",
        )

    def _toggle_log(self) -> None:
        if self._log is not None:
            self._log.close()
            self.say(f"log ended: {self._log.name}")
            self._log = None
            return
        path = Path(time.strftime(f"{self._name}-{self._state.port}-%Y%m%d-%H%M%S.log"))
        try:
            self._log = path.open("ab", buffering=0)
            self.say(f"logging to {path}; Enter ~l ends it")
        except OSError as error:
            self.say(f"{path}: cannot write: {error.strerror}")

    def _ask_for_file(self) -> None:
        if not self._state.writes:
            self.say("read-only; Enter ~w makes you the one who types")
            return
        self._prompt = LineInput()
        _tell("\r\nvmmgr: send which file? ")

    def _prompt_typed(self, data: bytes) -> None:
        assert self._prompt is not None
        _tell(self._prompt.typed(data))
        if (name := self._prompt.result) is None:
            return
        self._prompt = None
        if not name:
            self.say("nothing sent")
            return
        try:
            self._sending = _Sending(Path(name).expanduser().open("rb"), name)
        except OSError as error:
            self.say(f"{name}: cannot read: {error.strerror}")

    def _read_file(self, sending: _Sending) -> None:
        try:
            data = sending.file.read(CHUNK)
        except OSError as error:
            self.say(f"{sending.name}: cannot read: {error.strerror}")
            data = b""
        sending.sent += len(data)
        self._state.held += data
        if not data:
            sending.file.close()
            self._sending = None
            self.say(f"{sending.name}: {sending.sent} bytes sent")

    # -- what the user sees ---------------------------------------------------------------

    def say(self, text: str) -> None:
        """A message, on lines of its own."""
        text = shown_lines(text)
        end = "\r\n" if self._terminal.is_raw else "\n"
        start = end if self._terminal.is_raw else ""
        _tell(start + "".join(f"vmmgr: {line}{end}" for line in text.split("\n")))

    def _greet(self, attached: Message) -> None:
        if not self._terminal.is_raw:
            return
        escape = self._options.escape
        keys = f"{name_of(escape)} detaches, Enter ~? lists more" if escape is not None else ""
        self.say("; ".join(filter(None, (f"{self._name}, port {attached['port']}", keys))))
        if not attached["writes"] and self._options.mode == "write":
            self.say(f"read-only: process {attached['writer']} types; Enter ~w takes over")

    def _print(self, data: bytes) -> None:
        try:
            while data:
                written = os.write(1, data)
                if self._log is not None:
                    self._log.write(data[:written])
                data = data[written:]
        except OSError:
            self._state.left = Left("interrupted", status=ExitCode.FAILURE)  # the reader is gone

    def _leave(self) -> None:
        if self._terminal.is_raw:
            _tell("\x1b[0m")  # the guest may have left a colour
            if self._state.left is not None and self._state.left.text:
                _tell("\r\n")

    def _close(self) -> None:
        self._selector.close()
        for file in (self._log, self._sending.file if self._sending is not None else None):
            if file is not None:
                file.close()

    # -- signals --------------------------------------------------------------------------

    def _watch_signals(self, stack: contextlib.ExitStack) -> None:
        reader, writer = socket.socketpair()
        for end in (reader, writer):
            end.setblocking(False)
            stack.callback(end.close)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        stack.callback(signal.set_wakeup_fd, before)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            stack.callback(signal.signal, number, signal.signal(number, lambda *_: None))

        def arrived() -> None:
            for number in reader.recv(64):
                self._signalled(number)

        self._selector.register(reader, selectors.EVENT_READ, arrived)

    def _signalled(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._detach()
        elif not self._options.attended:
            if number == signal.SIGINT:
                self._state.left = Left("interrupted", status=ExitCode.INTERRUPTED)
            else:
                self._detach()
        elif number == signal.SIGTERM:
            self._ask("stop")
        else:
            self._state.interrupts += 1
            if self._state.interrupts > 1:
                self._ask("down")
            else:
                self.say("interrupt once more to power the machine off")


def _named(port: str | None) -> dict[str, str]:
    return {} if port is None else {"port": port}


def _tell(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone
        unfiltered(sys.stderr).write(text)
        sys.stderr.flush()


def _epitaph(name: str, data: Message) -> str:
    if data["kind"] in ("ended", "fault"):
        text = f"{name} ended: {data['detail']}"
    elif data["kind"] == "verdict":
        text = f"{name} powered off: it did not get ready"
    elif data["kind"] == "quit":
        text = f"{name} was stopped; its last suspended state is kept"
    else:
        text = f"{name} powered off"
    return with_resets(text, data["resets"])
