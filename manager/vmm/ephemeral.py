# SPDX-License-Identifier: BSD-2-Clause
"""A machine that keeps no state: powered on, run to a verdict or its end, forgotten."""

from __future__ import annotations

import os
import select
import selectors
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from manager.backends import factory
from manager.backends.null import NullBackend
from manager.backends.stdio import StdioBackend
from manager.errors import ExitCode, UsageError
from manager.graph.port_names import console_of
from manager.vmm.connections import SerialConnections
from manager.vmm.hosts import listen_for_gdb
from manager.vmm.outcome import Outcome
from manager.vmm.owner import Owner

if TYPE_CHECKING:
    from manager.backends.backend import Backend
    from manager.graph.nodes import Graph
    from manager.machine.expectation import Expectation, Step, Verdict
    from manager.machine.machine import Machine
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
    port: str | None = None
    """The port whose output goes to standard output and is searched; the console unless named."""


def run_ephemeral(graph: Graph, script: Script, *, paced: bool) -> Outcome:
    """Power a machine on and run it. Its port prints to standard output.

    Standard input goes to the port only from a terminal, and only without steps. Other ports keep
    the backends of the machine file.
    """
    from manager.machine.machine import Machine

    if graph.debug.trace and graph.debug.trace_file is None:
        raise UsageError(
            f"{graph.name} keeps no state here, so its trace has no place to go",
            help="name one: `--set debug.trace-file=FILE`",
        )
    machine = Machine.power_on(graph)
    try:
        return _run(machine, script, paced=paced)
    finally:
        machine.close()


def _run(machine: Machine, script: Script, *, paced: bool) -> Outcome:
    connections = SerialConnections(machine.ports, console_of(machine.graph))
    needed = script.port is not None or script.steps or script.fail_on is not None
    console = None
    if needed or connections.console:
        console = connections.find(script.port).port.id
    with selectors.DefaultSelector() as selector:
        owner = Owner(machine, connections, selector, paced=paced, advise=_advise)
        try:
            declared = {node.id: node.backend for node in machine.graph.serial_ports()}
            for id in connections.by_id:
                given = declared.get(id)  # the debug port has none
                if id == console:
                    typed = given is not None and not script.steps
                    backend: Backend = _Printer(owner, interactive=typed)
                elif given is None or given.type == "stdio":
                    backend = NullBackend()
                else:
                    backend = factory.make(given)
                connections.connect(id, backend, selector)
            listen_for_gdb(owner, selector, lambda text: print(f"vmmgr: {text}", file=sys.stderr))
            expectation = _expect(owner, script, console)
            outcome = owner.run(drain=console)
            if outcome.kind in ("ended", "fault"):
                expectation.look()  # at what the guest printed last
                outcome = _judge(outcome, expectation.verdict)
        finally:
            owner.close()
    return replace(outcome, lost=tuple(map(str, owner.sinks.failures)))


def _advise(text: str) -> None:
    print(f"vmmgr: {text}", file=sys.stderr)


class _Printer(StdioBackend):
    """Ends the run when nobody reads standard output any more, as a pipeline expects."""

    def describe(self) -> str:
        """What a message calls it."""
        return "standard output"

    def __init__(self, owner: Owner, *, interactive: bool) -> None:
        terminal = interactive and sys.stdin is not None and sys.stdin.isatty()
        if terminal:
            print("vmmgr: every key goes to the guest; Ctrl-] ends it", file=sys.stderr)
        stdin = 0 if terminal else os.open(os.devnull, os.O_RDONLY)
        super().__init__(stdin, on_escape=lambda: owner.finish(Outcome("down")))
        self._owner = owner
        self._reader = select.poll()
        self._reader.register(1, 0)

    def poll(self) -> None:
        """A pipe whose reader is gone is in error."""
        if any(events & select.POLLERR for _, events in self._reader.poll(0)):
            self._owner.finish(Outcome("interrupted", ExitCode.FAILURE))


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


def _expect(owner: Owner, script: Script, console: str | None) -> Expectation:
    from manager.machine.expectation import Expectation
    from manager.machine.serial_port import SerialPort
    from manager.text.search import Search

    connection = owner.connections.by_id.get(console) if console is not None else None

    def finished(verdict: Verdict) -> None:
        status = _STATUS[verdict.outcome]
        owner.finish(Outcome("verdict", status, verdict.detail, verdict.outcome))

    expectation = Expectation(
        owner.machine.clock,
        connection if connection is not None else SerialPort("none"),
        script.steps,
        finished=finished,
        fail_on=Search(script.fail_on) if script.fail_on is not None else None,
        budget=script.budget,
    )
    expectation.start()
    return expectation
