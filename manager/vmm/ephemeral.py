# SPDX-License-Identifier: BSD-2-Clause
"""A machine that keeps no state: powered on, run to a verdict or its end, forgotten."""

from __future__ import annotations

import os
import select
import selectors
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from manager.backends import factory
from manager.backends.null import NullBackend
from manager.backends.stdio import StdioBackend
from manager.config.units import format_duration
from manager.errors import ExitCode, UsageError
from manager.graph.port_names import console_of
from manager.lazy import dataclass
from manager.vmm.connections import SerialConnections
from manager.vmm.loop import EventLoop
from manager.vmm.outcome import Outcome
from manager.vmm.plugging import let_gdb_in
from manager.vmm.readiness import expect
from manager.vmm.running import RunningMachine

if TYPE_CHECKING:
    from manager.backends.backend import Backend
    from manager.graph.nodes import Graph
    from manager.machine.expectation import Expectation, Step, Verdict
    from manager.machine.machine import Machine
    from manager.snapshot.read import Snapshot
    from manager.text.pattern import Pattern

_STATUS = {
    "matched": ExitCode.OK,
    "failed": ExitCode.FAIL_ON_MATCHED,
    "budget": ExitCode.TIME_BUDGET,
}


@dataclass(frozen=True, slots=True)
class Script:
    """What to wait for and to answer, on which port, for how long."""

    steps: Sequence[Step] = ()
    fail_on: Pattern | None = None
    budget: int | None = None
    """ns of virtual time."""
    patience: int | None = None
    """ns of host time."""
    port: str | None = None
    """The port whose output goes to standard output and is searched; the console unless named."""
    raw: bool = False
    """Whether a terminal that takes no input gets all that the guest prints."""
    alone: bool = False
    """Whether nothing that is typed goes to the guest, here or at a pty."""


def run_ephemeral(
    graph: Graph,
    script: Script,
    *,
    paced: bool,
    start: Snapshot | None = None,
    heard: Callable[[bytes], object] = len,
    at_end: Callable[[Machine], object] | None = None,
) -> Outcome:
    """Power a machine on, or take it from `start`, and run it. Its port prints to standard output.

    `heard` gets what is printed too, `at_end` the machine as it is then.
    Standard input goes to the port only from a terminal, and only without steps. Other ports keep
    the backends of the machine file.
    """
    from manager.machine.machine import Machine

    if graph.debug.trace and graph.debug.trace_file is None:
        raise UsageError(
            f"{graph.name} keeps no state here, so its trace has no place to go",
            help="name one: `--set debug.trace-file=FILE`",
        )
    with ExitStack() as stack:
        if start is None:
            machine = Machine.power_on(graph)
        else:
            machine = Machine.restore(graph, start, reschedule=True)
        stack.callback(machine.close)
        selector = stack.enter_context(selectors.DefaultSelector())
        connections = SerialConnections(machine.ports, console_of(graph))
        running = RunningMachine(machine, connections, advise=_say)
        stack.callback(running.close)
        console = _console(script, connections)
        _connect_backends(running, script, console, selector, heard)
        running.networks.connect(selector, anew=True)
        if start is not None:
            running.networks.cut()
        let_gdb_in(running, selector, _say, stack)
        expectation = _expect(running, script, console)
        loop = EventLoop(running, selector, paced=paced)
        if script.patience is not None:
            _end_after(loop, running, script.patience)
        printer = connections.by_id[console] if console is not None else None
        outcome = loop.run(lambda: printer.backlog if printer is not None else 0)
        if outcome.kind in ("ended", "fault"):
            expectation.look()  # at what the guest printed last
            outcome = _judge(outcome, expectation.verdict)
        if at_end is not None:
            at_end(machine)
    return replace(outcome, lost=tuple(map(str, running.sinks.failures)))


def _end_after(loop: EventLoop, running: RunningMachine, patience: int) -> None:
    def give_up() -> None:
        spent, passed = format_duration(patience), running.now() / 1e9
        detail = f"in {spent} of the host's time {passed:.6f} s of the guest's have passed"
        running.finish(Outcome("verdict", ExitCode.TIME_BUDGET, detail, "patience"))

    loop.timers.after(patience / 1e9, give_up)


def _say(text: str) -> None:
    print(f"vmmgr: {text}", file=sys.stderr)


def _console(script: Script, connections: SerialConnections) -> str | None:
    """The id of the port that prints to standard output. Raises UsageError."""
    from manager.machine.expectation import Press, UntilScreen

    on_port = any(not isinstance(step, Press | UntilScreen) for step in script.steps)
    needed = script.port is not None or on_port or script.fail_on is not None
    if needed or connections.console is not None:
        return connections.find(script.port).port.id
    return None


def _connect_backends(
    running: RunningMachine,
    script: Script,
    console: str | None,
    selector: selectors.BaseSelector,
    heard: Callable[[bytes], object],
) -> None:
    declared = {node.id: node.backend for node in running.machine.graph.serial_ports()}
    unplugged = ("stdio", "pty") if script.alone else ("stdio",)
    for id in running.connections.by_id:
        given = declared.get(id)  # the debug port has none
        if id == console:
            typed = given is not None and not script.steps and not script.alone
            backend: Backend = _Printer(running, heard, interactive=typed, raw=script.raw)
        elif given is None or given.type in unplugged:
            backend = NullBackend()
        else:
            backend = factory.make(given)
        running.connections.connect(id, backend, selector)


class _Printer(StdioBackend):
    """Ends the run when standard output has no reader any more, as a pipeline expects."""

    def describe(self) -> str:
        """What a message calls it."""
        return "standard output"

    def __init__(
        self,
        running: RunningMachine,
        heard: Callable[[bytes], object],
        *,
        interactive: bool,
        raw: bool,
    ) -> None:
        terminal = interactive and sys.stdin is not None and sys.stdin.isatty()
        if terminal:
            print("vmmgr: every key goes to the guest; Ctrl-] ends it", file=sys.stderr)
        stdin = 0 if terminal else os.open(os.devnull, os.O_RDONLY)
        super().__init__(stdin, on_escape=lambda: running.finish(Outcome("down")), raw=raw)
        self._running = running
        self._heard = heard
        self._reader = select.poll()
        self._reader.register(1, 0)

    def write(self, data: bytes) -> None:
        """Print."""
        self._heard(data)
        super().write(data)

    def poll(self) -> None:
        """A pipe whose reader is gone is in error."""
        if any(events & select.POLLERR for _, events in self._reader.poll(0)):
            self._running.finish(Outcome("interrupted", ExitCode.FAILURE))


def _judge(outcome: Outcome, verdict: Verdict | None) -> Outcome:
    """The end of a machine in the light of its last words. A status of the guest's own stands."""
    if verdict is None or (verdict.outcome == "matched" and outcome.reason == "debug-exit"):
        return outcome
    return replace(
        outcome,
        kind="verdict",
        status=_STATUS[verdict.outcome],
        detail=verdict.detail,
        reason=verdict.outcome,
    )


def _expect(running: RunningMachine, script: Script, console: str | None) -> Expectation:
    from manager.machine.serial_port import SerialPort

    def finished(verdict: Verdict) -> None:
        status = _STATUS[verdict.outcome]
        running.finish(Outcome("verdict", status, verdict.detail, verdict.outcome))

    connections = running.connections
    return expect(
        running,
        connections.by_id[console] if console is not None else SerialPort("none"),
        script.steps,
        finished,
        fail_on=script.fail_on,
        budget=script.budget,
    )
