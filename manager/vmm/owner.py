# SPDX-License-Identifier: BSD-2-Clause
"""The process that owns a machine: runs it, serves its ports and its control socket."""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from manager.client.protocol import UnknownCommandError
from manager.errors import ExitCode, HostError, VmmgrError, WrongStateError
from manager.state.disks import MachineDisks
from manager.vmm.attachments import Attachments
from manager.vmm.commands import COMMANDS, Call
from manager.vmm.connections import INPUT_LIMIT
from manager.vmm.outcome import Kind, Outcome
from manager.vmm.pacing import Paced, Virtual
from manager.vmm.server import ControlServer, Session
from manager.vmm.signals import Signals
from manager.vmm.sinks import Sinks

if TYPE_CHECKING:
    from manager.client.protocol import Request
    from manager.machine.ended import Ended
    from manager.machine.inputs import Input
    from manager.machine.machine import Machine
    from manager.state.directory import MachineDirectory
    from manager.vmm.attachments import Mode
    from manager.vmm.connections import SerialConnections
    from manager.vmm.gdb import GdbListener
    from manager.vmm.keeper import Keeper

OnTerm = Literal["down", "suspend"]
"""What SIGTERM does."""

_LONGEST_SLEEP = 1.0
"""Seconds; backends want to be polled once in that time."""


@dataclass(slots=True)
class HostTimer:
    """Something to do at a time of the host's monotonic clock."""

    at: float
    action: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        """It is not to be done any more."""
        self.cancelled = True


class Owner:
    """Runs one machine until it ends, is suspended or is told to stop.

    Each turn waits for the host as long as the pace allows, handles what came, runs the machine
    for a slice and passes on what its ports sent. While a port's backlog is too long, or the
    machine is paused, virtual time stands still and everything else goes on.
    """

    def __init__(  # noqa: PLR0913  the parts of a running machine, each handed in once
        self,
        machine: Machine,
        connections: SerialConnections,
        selector: selectors.BaseSelector,
        *,
        paced: bool,
        home: MachineDirectory | None = None,
        socket: Path | None = None,
        paused: bool = False,
        interrupts: int = 1,
        on_term: OnTerm = "down",
        say: Callable[[str], None] = lambda text: None,
        advise: Callable[[str], None] | None = None,
    ) -> None:
        self.machine = machine
        self.connections = connections
        self.attachments = Attachments(connections, self.publish)
        self.ready: bool | None = None
        """Whether the machine got ready; None while that is open, or nobody asked."""
        self.outcome: Outcome | None = None
        self.keeper: Keeper | None = None
        """Records the run."""
        self.gdb: GdbListener | None = None
        """Lets a debugger in."""
        self.sinks = Sinks(connections)
        machine.disks.on_trouble = self._disk_trouble
        self._selector = selector
        self._home = home
        self._say = say
        self._tell_advice = advise or say
        self._pace = Paced(machine) if paced else Virtual(machine)
        self._paced = paced
        self._paused = paused
        self._held = False
        self._debugged = False
        self._hurried = False
        self._started = time.monotonic()
        self._on_term = on_term
        self._blocked: str | None = None
        self._timers: list[HostTimer] = []
        self._advised: set[str] = set()
        """Ports that the user was told about."""
        self._signals = Signals(selector, self._told_to_stop, self._interrupted)
        self._interrupts = interrupts
        self._server: ControlServer | None = (
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
            self.outcome = replace(self.outcome, resets=self.machine.resets)
            while drain is not None and self.connections.by_id[drain].backlog and not self._hurried:
                for key, mask in self._selector.select(_LONGEST_SLEEP):
                    self._dispatch(key, mask)
        return self.outcome

    def close(self) -> None:
        """Send the ports' last output and the last answers. Call it once, after `run`."""
        self.connections.pump()
        self.machine.trace.close()
        self._look_at_sinks()
        if self.gdb is not None:
            self.gdb.close(self.outcome.status if self.outcome is not None else ExitCode.FAILURE)
        if self._server is not None:
            if self.outcome is not None and self.outcome.kind != "suspended":
                self.publish(
                    "ended",
                    kind=self.outcome.kind,
                    status=int(self.outcome.status),
                    detail=self.outcome.detail,
                    resets=self.outcome.resets,
                )
            self._server.close()
        self.connections.close()
        self._look_at_sinks()

    def finish(self, outcome: Outcome) -> None:
        """End `run` at the next chance; the first reason given counts."""
        if self.outcome is None:
            self.outcome = outcome
            self.machine.stop()

    def at_host_time(self, seconds: float, action: Callable[[], None]) -> HostTimer:
        """Call `action` once, `seconds` of the host's time from now, unless it is cancelled."""
        timer = HostTimer(time.monotonic() + seconds, action)
        self._timers.append(timer)
        return timer

    def publish(self, event: str, **data: Any) -> None:
        """Tell the clients that subscribed of an event."""
        if self._server is not None:
            moment = {"time": round(time.time(), 3), "virtual-time": self.machine.now()}
            self._server.publish(event, moment, data)

    # What clients ask for.

    def status(self) -> dict[str, Any]:
        """What the machine is doing, as `query-status` answers it. Times are in ns and s."""
        blocked = self.connections.blocked()
        return {
            "name": self.machine.graph.name,
            "state": "paused"
            if self._paused or self._debugged
            else "blocked"
            if blocked
            else "running",
            "blocked-on": blocked,
            "pid": os.getpid(),
            "virtual-time": self.machine.now(),
            "resets": self.machine.resets,
            "uptime": round(time.monotonic() - self._started, 3),
            "clock": "paced" if self._paced else "virtual",
            "ready": self.ready,
            "ports": self._describe_ports(),
            "consoles": self.attachments.describe(),
            "listeners": self._server.listeners if self._server is not None else 0,
            "failed-sinks": self.sinks.describe(),
            "disks": self.machine.disks.describe(),
        }

    def _describe_ports(self) -> list[dict[str, Any]]:
        advice = self.machine.advice()
        ports = self.connections.describe()
        return [{**port, "advice": advice.get(port["id"])} for port in ports]

    def suspend(self) -> dict[str, Any]:
        """Save the machine and end; a failure leaves it running. Raises VmmgrError."""
        self._require_not_ending()
        if self._home is None:
            raise WrongStateError(
                "this machine keeps no state", help="start it with `vmmgr up` to suspend it"
            )
        self.connections.pump()
        began = time.monotonic()
        try:
            saved = self._home.suspend(self.machine)
        except VmmgrError as error:
            self.publish("suspend-failed", message=error.message)
            raise
        seconds = time.monotonic() - began
        if self.keeper is not None:
            self.keeper.suspended(saved.path)
        self.finish(Outcome("suspended", detail=str(saved.path)))
        result = {"snapshot": str(saved.path), "size": saved.size, "seconds": round(seconds, 6)}
        self.publish("suspended", **result)
        return result

    def save_snapshot(self, tag: str | None) -> dict[str, Any]:
        """Take a snapshot and run on. Raises VmmgrError."""
        self._require_not_ending()
        if self._home is None:
            raise WrongStateError("this machine keeps no state")
        self.connections.pump()
        began = time.monotonic()
        path = self._home.save_snapshot(self.machine, tag)
        if self.keeper is not None:
            self.keeper.saved(path, tag)
        seconds = time.monotonic() - began
        self.publish("snapshot-saved", snapshot=str(path), tag=tag)
        return {"snapshot": str(path), "tag": tag, "seconds": round(seconds, 6)}

    def power_off(self) -> None:
        """Pull the plug: the machine is over."""
        self._require_not_ending()
        self.finish(Outcome("down"))

    def quit(self) -> None:
        """End the process and leave the last suspended state as it is."""
        self._require_not_ending()
        self.finish(Outcome("quit"))

    def stop_as_told(self) -> None:
        """What SIGTERM does. Raises VmmgrError when the machine cannot be saved."""
        if self._on_term == "suspend" and self._home is not None:
            self.suspend()
        else:
            self.power_off()

    def press_power_button(self) -> None:
        """Press the machine's power button."""
        self._require_not_ending()
        self.machine.inputs.post("power-button")

    def rewind(self, *, back: int | None, to: int | None, inputs: int | None) -> dict[str, Any]:
        """Go back in virtual time; see Keeper.rewind."""
        self._require_not_ending()
        if self.keeper is None:
            raise WrongStateError("this machine keeps no state")
        began = time.monotonic()
        result = self.keeper.rewind(back=back, to=to, inputs=inputs)
        result["seconds"] = round(time.monotonic() - began, 6)
        self.publish("rewound", **result)
        return result

    def history(self) -> tuple[int, list[Input]] | None:
        """When the record of this run begins, and all input since; None without a record."""
        return self.keeper.history() if self.keeper is not None else None

    def replace(self, machine: Machine, sent: Mapping[str, int]) -> None:
        """Go on with `machine`, an earlier self, whose ports had sent `sent` bytes by then."""
        before, self.machine = self.machine, machine
        self.connections.rewind(machine.ports, sent)
        self._pace = Paced(machine) if self._paced else Virtual(machine)
        if self._home is not None:
            MachineDisks(self._home.paths).adopt(machine.graph, machine.disks)
        machine.disks.on_trouble = self._disk_trouble
        before.close()
        del before
        gc.collect()  # its RAM and its engine are in cycles

    def _disk_trouble(self, name: str, fault: str) -> None:
        """The host fails a disk: nothing may be lost, so a machine whose writes wait pauses."""
        self._say(f'disk "{name}" {fault}')
        self.publish("disk-trouble", disk=name, message=fault)
        if self.machine.disks[name].log.held:
            self.pause()
            self.machine.stop()

    def hold(self, held: bool) -> None:
        """Let virtual time stand still for a debugger, or go on when nobody else objects."""
        self._debugged = held

    def pause(self) -> None:
        """Let virtual time stand still."""
        if not self._paused:
            self._paused = True
            self.publish("paused")

    def unpause(self) -> None:
        """Let virtual time go on. Raises HostError while a disk's writes find no room."""
        if waiting := self.machine.disks.waiting:
            name, fault = next(iter(waiting.items()))
            raise HostError(
                f'disk "{name}" {fault}', help="free some room, then `vmmgr ctl NAME continue`"
            )
        if self._paused:
            self._paused = False
            self.publish("continued")

    def feed(self, port: str | None, data: bytes) -> str:
        """Send `data` to a port, the console unless named; returns the port's id."""
        self._require_not_ending()
        connection = self.connections.find(port)
        if connection.pending + len(data) > INPUT_LIMIT:
            raise HostError(
                f"{connection.port.id}: the guest has not read {connection.pending} bytes yet",
                help="send the rest when it has",
            )
        connection.feed(data)
        return connection.port.id

    def attach(self, session: Session, port: str | None, mode: Mode, replay: int) -> dict[str, Any]:
        """Connect a client to a port."""
        self._require_not_ending()
        return self.attachments.attach(session, port, mode, replay)

    def send_break(self, session: Session, port: str | None) -> str:
        """Send a break to a port, the one that the client is attached to unless named."""
        self._require_not_ending()
        id = (
            self.attachments.port_of(session)
            if port is None
            else self.connections.find(port).port.id
        )
        self.machine.inputs.post("break", id)
        self.publish("break", port=id)
        return id

    def _require_not_ending(self) -> None:
        if self.outcome is not None:
            raise WrongStateError("the machine is ending")

    def _execute(self, session: Session, request: Request) -> dict[str, Any]:
        command = COMMANDS.get(request.execute)
        if command is None:
            raise UnknownCommandError
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
            self._dispatch(key, mask)
        self.connections.poll()
        self._run_timers()
        self._update_hold()
        if self.outcome is None and not self._held:
            target = self._pace.until()
            if target is not None:
                self._run_to(target)
        self.connections.pump()
        if self.keeper is not None and self.outcome is None:
            self.keeper.turned()
        self._look_at_sinks()
        self._advise()

    def _dispatch(self, key: selectors.SelectorKey, events: int) -> None:
        """Handle what came from the host. A descriptor that fails is given up, not the machine."""
        try:
            key.data(events)
        except (OSError, HostError) as error:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(key.fileobj)
            self._say(f"a connection failed: {error}")
            self.publish("warning", message=f"a connection failed: {error}")

    def _run_to(self, until: int) -> None:
        before = self.machine.resets
        ended = self.machine.run(until, yielding=True)
        self.connections.arrived()
        if self.machine.resets != before:
            self.publish("reset", resets=self.machine.resets)
        if ended is not None:
            self._ended(ended)

    def _ended(self, ended: Ended) -> None:
        if self.outcome is None:
            kind: Kind = "fault" if ended.is_fault else "ended"
            self.outcome = Outcome(kind, ended.status, ended.detail, ended.reason)

    def _look_at_sinks(self) -> None:
        for failure in self.sinks.look(self.machine, self.keeper):
            self._say(f"output is lost: {failure}")
            self.publish("sink-failed", **asdict(failure))

    def _advise(self) -> None:
        """Say once of each port what its user may not see."""
        for port, text in self.machine.advice().items():
            if port not in self._advised:
                self._advised.add(port)
                self._tell_advice(f"{port}: {text}")
                self.publish("warning", message=f"{port}: {text}")

    def _update_hold(self) -> None:
        blocked = self.connections.blocked()
        if blocked != self._blocked:
            self.publish("blocked" if blocked else "unblocked", port=blocked or self._blocked)
            self._blocked = blocked
        held = self._paused or self._debugged or blocked is not None
        if self._held and not held:
            self._pace.resume()
        self._held = held

    def _sleep(self) -> float:
        waits = [_LONGEST_SLEEP]
        if not self._held and (seconds := self._pace.sleep()) is not None:
            waits.append(seconds)
        waits += [max(timer.at - time.monotonic(), 0) for timer in self._timers]
        return min(waits)

    def _run_timers(self) -> None:
        if not self._timers:
            return
        now = time.monotonic()
        due = [timer for timer in self._timers if timer.at <= now]
        self._timers = [timer for timer in self._timers if timer.at > now and not timer.cancelled]
        for timer in due:
            if not timer.cancelled:
                timer.action()

    def _told_to_stop(self, number: int) -> None:
        self._hurried = self.outcome is not None
        if self._hurried:
            return
        self._say(f"stopping: {signal.Signals(number).name}")
        if number == signal.SIGHUP:
            # A terminal that went away is nobody's wish to lose the suspended state.
            self.finish(Outcome("quit"))
            return
        try:
            self.stop_as_told()
        except VmmgrError as error:
            self._say(f"cannot suspend, so the machine runs on: {error.message}")

    def _interrupted(self) -> None:
        self._hurried = self.outcome is not None
        self._interrupts -= 1
        if self._interrupts > 0:
            self._say("interrupt once more to power the machine off")
        else:
            self.finish(Outcome("interrupted", ExitCode.INTERRUPTED))
