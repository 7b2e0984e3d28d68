# SPDX-License-Identifier: BSD-2-Clause
"""The user's end of a console: a terminal or pipes on one side, a control socket on the other."""

from __future__ import annotations

import base64
import contextlib
import os
import selectors
import signal
from collections.abc import Callable
from typing import Any

from manager.backends.signals import Signals
from manager.backends.terminal import RawTerminal
from manager.client import left
from manager.client.client import Client, HungUpError, Message, result_of
from manager.client.keys import Action, Keys, Typed, name_of
from manager.client.left import Left
from manager.client.line_input import LineInput
from manager.client.options import Options
from manager.client.outgoing import CHUNK, Outgoing
from manager.client.screen import Screen
from manager.client.settling import Settling
from manager.errors import ExitCode, VmmgrError, WrongStateError


class Console:
    """Attaches to a port and stays until the user detaches or the machine is gone.

    Messages go to standard error; standard output has the port's bytes and nothing else.
    """

    def __init__(self, client: Client, name: str, options: Options) -> None:
        self._client = client
        self._name = name
        self._options = options
        self._terminal = RawTerminal(0)
        self._screen = Screen(self._terminal, raw=options.raw)
        self._keys = Keys(options.escape if os.isatty(0) else None)
        self._outgoing = Outgoing(self._write, self._screen.say)
        self._settling = Settling(options.settle) if options.settle is not None else None
        self._prompt: LineInput | None = None
        self._selector = selectors.PollSelector()
        self._asked: dict[int, str] = {}
        """The commands that no answer has come to, by their ids."""
        self._open = True
        """Whether standard input has not ended."""
        self._reading = False
        self._port = ""
        self._writes = False
        self._paused = False
        self._begins = False
        """The machine was only waiting for this console, so that its going on is no news."""
        self._interrupts = 0
        self._left: Left | None = None

    def run(self) -> Left:
        """Be the console. Raises VmmgrError when the port cannot be attached."""
        options = self._options
        port = {} if options.port is None else {"port": options.port}
        attached = self._client.execute("attach", mode=options.mode, replay=options.replay, **port)
        status = self._client.execute("subscribe")
        self._port = attached["port"]
        self._writes = attached["writes"]
        self._paused = status["state"] == "paused"
        if not self._writes and options.mode != "read" and not os.isatty(0):
            raise WrongStateError(
                f"process {attached['writer']} types at {self._port}",
                help="`--take` types all the same, `--read-only` only looks",
            )
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._terminal)
            for part in (self._selector, self._screen, self._outgoing):
                stack.callback(part.close)
            stack.enter_context(Signals(self._selector, self._signalled))
            self._greet(attached)
            self._screen.print_again(base64.b64decode(attached["replay"]))
            if options.attended and self._paused:
                self._begins = True
                self._ask("continue")
            self._selector.register(self._client, selectors.EVENT_READ, self._hear)
            if options.beside is not None:
                options.beside.begin(self._selector, self._screen.say)
                stack.callback(options.beside.end)
            while self._left is None:
                self._turn()
            self._screen.leave(more_follows=bool(self._left.text))
        return self._left

    # -- one turn -------------------------------------------------------------------------

    def _turn(self) -> None:
        self._outgoing.offer()
        self._watch_input()
        beside = self._options.beside
        waits = [self._outgoing.wait(), self._settle(), beside.wait() if beside else None]
        wait = min((seconds for seconds in waits if seconds is not None), default=None)
        for key, events in self._selector.select(wait):
            key.data(events)
        if beside is not None and beside.look() and self._left is None:
            self._left = Left("changed")

    def _settle(self) -> float | None:
        """Seconds until a console that was fed by a pipe has to look whether it is over."""
        settling = self._settling
        if settling is None or self._open or not self._outgoing.is_empty:
            return None
        if settling.is_over():
            self._left = Left("detached")
        elif settling.wants_look():
            self._ask("query-status")
        return settling.wait()

    def _watch_input(self) -> None:
        wanted = self._open and not self._outgoing.is_full
        if wanted and not self._reading:
            self._selector.register(0, selectors.EVENT_READ, self._read)
        elif self._reading and not wanted:
            self._selector.unregister(0)
        self._reading = wanted

    def _read(self, _events: int) -> None:
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
            self._left = Left("detached")
        else:
            self._open = False  # the end of a pipe ends the input alone

    def _type(self, data: bytes) -> None:
        if self._prompt is not None:
            self._prompt_typed(data)
        elif self._writes:
            self._outgoing.type(data)
        elif self._terminal.is_raw:
            self._screen.say("read-only; Enter ~w makes you the one who types")

    def _write(self, data: bytes) -> bool:
        return self._ask("write", base64=base64.b64encode(data).decode("ascii")) is not None

    def _ask(self, command: str, **arguments: Any) -> int | None:
        try:
            id = self._client.request(command, **arguments)
        except HungUpError:
            return None  # the machine's last output is still to be read
        self._asked[id] = command
        return id

    # -- what the machine says ------------------------------------------------------------

    def _hear(self, _events: int) -> None:
        try:
            for message in self._client.ready_messages():
                if "event" in message:
                    self._event(message["event"], message.get("data", {}))
                else:
                    self._answer(message)
        except HungUpError:
            if self._left is None:
                self._left = left.crashed(self._name)

    def _event(self, event: str, data: Message) -> None:
        if event == "output":
            if self._settling is not None:
                self._settling.heard()
            self._show(base64.b64decode(data["base64"]))
        elif event == "skipped":
            self._screen.say(f"{data['bytes']} bytes skipped; the log has them")
        elif event == "read-only":
            self._writes = False
            self._screen.say(f"process {data['taken-by']} types now; Enter ~w takes it back")
        elif event in ("paused", "continued"):
            self._paused = event == "paused"
            if not self._begins:
                self._screen.say(event)
            self._begins = False
        elif event == "ready":
            self._screen.say(f"{self._name} is ready: {data['detail']}")
        elif event == "unready":
            self._screen.say(f"{self._name}: {data['detail']}")
        elif event in ("suspend-failed", "warning", "damaged"):
            self._screen.say(data["message"])
        elif event == "suspended":
            self._left = left.suspended(self._name, data)
        elif event == "ended":
            self._left = left.ended(self._name, data)

    def _answer(self, message: Message) -> None:
        command = self._asked.pop(message.get("id", 0), "")
        try:
            result = result_of(message)
        except VmmgrError as error:
            self._screen.say(error.message)
            if command == "write":
                self._outgoing.refused()
            return
        if command == "write":
            self._outgoing.accepted(result["accepted"])
        elif command == "query-status" and self._settling is not None:
            ports = {port["id"]: port["pending"] for port in result["ports"]}
            self._settling.pending(ports[self._port])
        elif command == "take":
            self._writes = True
            self._screen.say("you type now")
        elif command == "break":
            self._screen.say("break sent")

    # -- what the user wants --------------------------------------------------------------

    def _act(self, action: Action) -> None:
        actions: dict[Action, Callable[[], object]] = {
            "detach": self._detach,
            "help": lambda: self._screen.say("\n".join(["keys:", *self._keys.help()])),
            "break": lambda: self._ask("break"),
            "suspend": lambda: self._ask("suspend"),
            "pause": lambda: self._ask("continue" if self._paused else "pause"),
            "take": lambda: self._ask("take"),
            "power-button": lambda: self._ask("power-button"),
            "log": lambda: self._screen.toggle_log(self._name, self._port),
            "send-file": self._ask_for_file,
        }
        actions[action]()

    def _detach(self) -> None:
        self._left = left.detached(self._name)

    def _ask_for_file(self) -> None:
        if not self._writes:
            self._screen.say("read-only; Enter ~w makes you the one who types")
            return
        self._prompt = LineInput()
        self._screen.tell("\r\nvmmgr: send which file? ")

    def _prompt_typed(self, data: bytes) -> None:
        assert self._prompt is not None
        self._screen.tell(self._prompt.typed(data))
        if (name := self._prompt.result) is None:
            return
        self._prompt = None
        if name:
            self._outgoing.send_file(name)
        else:
            self._screen.say("nothing sent")

    # -- what the user sees ---------------------------------------------------------------

    def _greet(self, attached: Message) -> None:
        if not self._terminal.is_raw:
            return
        escape = self._options.escape
        keys = f"{name_of(escape)} detaches, Enter ~? lists more" if escape is not None else ""
        self._screen.say("; ".join(filter(None, (f"{self._name}, port {attached['port']}", keys))))
        if not attached["writes"] and self._options.mode == "write":
            self._screen.say(f"read-only: process {attached['writer']} types; Enter ~w takes over")

    def _show(self, data: bytes) -> None:
        if not self._screen.print(data):
            self._left = Left("interrupted", status=ExitCode.FAILURE)

    # -- signals --------------------------------------------------------------------------

    def _signalled(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._detach()
        elif not self._options.attended:
            if number == signal.SIGINT:
                self._left = Left("interrupted", status=ExitCode.INTERRUPTED)
            else:
                self._detach()
        elif number == signal.SIGTERM:
            self._ask("stop")
        else:
            self._interrupts += 1
            if self._interrupts > 1:
                self._ask("down")
            else:
                self._screen.say("interrupt once more to power the machine off")
