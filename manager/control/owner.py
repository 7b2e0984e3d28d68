# SPDX-License-Identifier: BSD-2-Clause
"""The process that owns a machine: runs it, serves its ports and its control socket."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.control.commands import COMMANDS, Call
from manager.control.outcome import Kind, Outcome
from manager.control.pacing import Paced, Virtual
from manager.control.server import ControlServer, Session
from manager.control.signals import Signals
from manager.errors import ExitCode, WrongStateError

if TYPE_CHECKING:
    from manager.control.home import Home
    from manager.control.protocol import Request
    from manager.control.wiring import Wiring
    from manager.machine.machine import Ended, Machine

_FAULTS = ("triple-fault", "engine")
_LONGEST_SLEEP = 1.0
"""Seconds; backends want to be polled once in that time."""


class Owner:
    """Runs one machine until it ends, is suspended or is told to stop.

    Each turn waits for the host as long as the pace allows, handles what came, runs the machine
    for a slice and passes on what its ports sent. While a port's backlog is too long, or the
    machine is paused, virtual time stands still and everything else goes on.
    """

    def __init__(  # noqa: PLR0913  the parts of a running machine, each handed in once
        self,
        machine: Machine,
        wiring: Wiring,
        selector: selectors.BaseSelector,
        *,
        paced: bool,
        home: Home | None = None,
        socket: Path | None = None,
        paused: bool = False,
        interrupts: int = 1,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.machine = machine
        self.wiring = wiring
        self.outcome: Outcome | None = None
        self._selector = selector
        self._home = home
        self._say = say
        self._pace = Paced(machine) if paced else Virtual(machine)
        self._paced = paced
        self._paused = paused
        self._held = False
        self._hurried = False
        self._started = time.monotonic()
        self._host_deadline: float | None = None
        self._on_host_deadline: Callable[[], None] | None = None
        self._signals = Signals(selector, self._told_to_stop, self._interrupted)
        self._interrupts = interrupts
        self._server = (
            None
            if socket is None
            else ControlServer(socket, machine.graph.name, selector, self._execute)
        )

    def run(self, drain: str | None = None) -> Outcome:
        """Own the machine until its end.

        With `drain`, that port's backend then gets all the time it needs to pass on its backlog,
        or until a signal comes.
        """
        with self._signals:
            self._pace.resume()
            while self.outcome is None:
                self._turn()
            while drain is not None and self.wiring.wires[drain].backlog and not self._hurried:
                for key, mask in self._selector.select(_LONGEST_SLEEP):
                    key.data(mask)
        return self.outcome

    def close(self) -> None:
        """Send the last answers and the ports' last output. Call it once, after `run`."""
        if self._server is not None:
            self._server.close()
        self.wiring.close()

    def finish(self, outcome: Outcome) -> None:
        """End `run` at the next chance; the first reason given counts."""
        if self.outcome is None:
            self.outcome = outcome
            self.machine.stop()

    def at_host_time(self, seconds: float | None, action: Callable[[], None]) -> None:
        """Call `action` once, `seconds` of the host's time from now; None takes it back."""
        self._host_deadline = None if seconds is None else time.monotonic() + seconds
        self._on_host_deadline = action

    # What clients ask for.

    def status(self) -> dict[str, Any]:
        """What the machine is doing, as `query-status` answers it. Times are in ns and s."""
        blocked = self.wiring.blocked()
        return {
            "name": self.machine.graph.name,
            "state": "paused" if self._paused else "blocked" if blocked else "running",
            "blocked-on": blocked,
            "pid": os.getpid(),
            "virtual-time": self.machine.now(),
            "uptime": round(time.monotonic() - self._started, 3),
            "clock": "paced" if self._paced else "virtual",
            "ports": self.wiring.describe(),
        }

    def suspend(self) -> dict[str, Any]:
        """Save the machine and end; a failure leaves it running. Raises VmmgrError."""
        self._require_not_ending()
        if self._home is None:
            raise WrongStateError(
                "this machine keeps no state", help="start it with `vmmgr up` to suspend it"
            )
        self.wiring.pump()
        began = time.monotonic()
        saved = self._home.suspend(self.machine)
        seconds = time.monotonic() - began
        self.finish(Outcome("suspended", detail=str(saved.path)))
        return {"snapshot": str(saved.path), "size": saved.size, "seconds": round(seconds, 6)}

    def snapshot(self, tag: str | None) -> dict[str, Any]:
        """Save the machine under a tag and go on. Raises VmmgrError."""
        self._require_not_ending()
        if self._home is None:
            raise WrongStateError(
                "this machine keeps no state", help="start it with `vmmgr up` to save it"
            )
        self.wiring.pump()
        began = time.monotonic()
        tag, saved = self._home.save_as(self.machine, tag)
        seconds = time.monotonic() - began
        return {
            "tag": tag,
            "snapshot": str(saved.path),
            "size": saved.size,
            "seconds": round(seconds, 6),
        }

    def power_off(self) -> None:
        """Pull the plug: the machine is over."""
        self._require_not_ending()
        self.finish(Outcome("down"))

    def quit(self) -> None:
        """End the process and leave the last suspended state as it is."""
        self._require_not_ending()
        self.finish(Outcome("quit"))

    def pause(self) -> None:
        """Let virtual time stand still."""
        self._paused = True

    def unpause(self) -> None:
        """Let virtual time go on."""
        self._paused = False

    def feed(self, port: str | None, data: bytes) -> str:
        """Send `data` to a port, the console unless named; returns the port's id."""
        self._require_not_ending()
        return self.wiring.feed(port, data)

    def _require_not_ending(self) -> None:
        if self.outcome is not None:
            raise WrongStateError("the machine is ending")

    def _execute(self, session: Session, request: Request) -> dict[str, Any]:
        command = COMMANDS[request.execute]
        command.check(request.execute, request.arguments)
        return command.handler(Call(self, session, request.arguments))

    # One turn.

    def _turn(self) -> None:
        self._update_hold()
        target = None if self._held else self._pace.until()
        events = self._selector.select(0 if target is not None else self._sleep())
        if events and not self._held and (present := self._pace.catch_up()) is not None:
            self._run_to(present)
        for key, mask in events:
            key.data(mask)
        self.wiring.poll()
        self._check_host_deadline()
        self._update_hold()
        if self.outcome is None and not self._held:
            target = self._pace.until()
            if target is not None:
                self._run_to(target)
        self.wiring.pump()

    def _run_to(self, until: int) -> None:
        ended = self.machine.run(until)
        if ended is not None:
            self._ended(ended)

    def _ended(self, ended: Ended) -> None:
        if self.outcome is None:
            kind: Kind = "fault" if ended.reason in _FAULTS else "ended"
            self.outcome = Outcome(kind, ended.status, ended.detail, ended.reason)

    def _update_hold(self) -> None:
        held = self._paused or self.wiring.blocked() is not None
        if self._held and not held:
            self._pace.resume()
        self._held = held

    def _sleep(self) -> float:
        waits = [_LONGEST_SLEEP]
        if not self._held and (seconds := self._pace.sleep()) is not None:
            waits.append(seconds)
        if self._host_deadline is not None:
            waits.append(max(self._host_deadline - time.monotonic(), 0))
        return min(waits)

    def _check_host_deadline(self) -> None:
        if self._host_deadline is not None and time.monotonic() >= self._host_deadline:
            self._host_deadline = None
            assert self._on_host_deadline is not None
            self._on_host_deadline()

    def _told_to_stop(self, number: int) -> None:
        self._hurried = self.outcome is not None
        self._say(f"stopping: {signal.Signals(number).name}")
        # A terminal that went away is nobody's wish to lose the suspended state.
        self.finish(Outcome("quit" if number == signal.SIGHUP else "down"))

    def _interrupted(self) -> None:
        self._hurried = self.outcome is not None
        self._interrupts -= 1
        if self._interrupts > 0:
            self._say("interrupt once more to power the machine off")
        else:
            self.finish(Outcome("interrupted", ExitCode.INTERRUPTED))
