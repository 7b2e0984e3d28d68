# SPDX-License-Identifier: BSD-2-Clause
"""Bringing a machine up under this process: power on or restore, connect, own, and clean up."""

from __future__ import annotations

import selectors
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from manager.errors import ExitCode, VmmgrError
from manager.graph.port_names import console_of
from manager.state.directory import MachineDirectory
from manager.state.paths import MachinePaths
from manager.state.port_log import set_aside
from manager.vmm.connections import SerialConnections
from manager.vmm.hosts import connect_backends, listen_for_gdb, terminal
from manager.vmm.keeper import Keeper
from manager.vmm.origin import Origin, declares, make
from manager.vmm.outcome import Outcome
from manager.vmm.owner import OnTerm, Owner

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.machine.expectation import Verdict
    from manager.machine.machine import Machine
    from manager.text.pattern import Pattern

ATTENDANCE = 10.0
"""Seconds that a machine waits for the console that it was started with."""
LAST_LINES = 20
"""Lines of output that are shown of a machine that did not get ready in time."""
NO_LIMIT = 1e9
"""Seconds; longer than anybody waits."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """When the machine counts as up."""

    wait_for: Pattern
    fail_on: Pattern | None = None
    timeout: float | None = None
    """Seconds of the host's time."""
    port: str | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """How a machine is to be brought up."""

    graph: Graph
    settings: Sequence[str] = ()
    """What `--set` gave, as KEY=VALUE."""
    resume: bool = False
    """Restore the suspended state instead of powering on."""
    fresh: bool = False
    """Drop the suspended state once the machine is powered on."""
    detached: bool = False
    """No terminal or pipe of this process is the machine's console."""
    attended: bool = False
    """A console is about to be attached and belongs to the start: the machine waits for it, and
    ends when it does not get ready."""
    paused: bool = False
    on_term: OnTerm = "down"
    """What SIGTERM does."""
    readiness: Readiness | None = None
    cache: bool = True
    """Whether a machine that was kept when it was ready may be taken instead of booting."""


class Audience(Protocol):
    """Who hears how it goes."""

    def up(self) -> None:
        """The machine is about to run."""

    def output(self, data: bytes) -> None:
        """The port that is waited for sent something; only until the machine is ready."""

    def ready(self, detail: str) -> None:
        """The machine is ready."""

    def unready(self, status: int, detail: str) -> None:
        """It did not get ready; `status` is the exit code that says why."""

    def say(self, text: str) -> None:
        """Anything else, one line."""


def own(launch: Launch, audience: Audience) -> Outcome:
    """Bring the machine up and own it to its end.

    Raises WrongStateError when another process owns it, SnapshotMismatchError and
    SnapshotCorruptError when it cannot be restored, HostError; then it is as it was before.
    """
    home = MachineDirectory.take(MachinePaths.of(launch.graph.name))
    try:
        machine, origin = make(launch, home)
        try:
            return _own(launch, home, machine, origin, audience)
        finally:
            machine.close()
    finally:
        home.close()


def _own(
    launch: Launch, home: MachineDirectory, machine: Machine, origin: Origin, audience: Audience
) -> Outcome:
    graph = launch.graph
    if graph.debug.trace and graph.debug.trace_file is None:
        machine.trace.open(home.paths.directory / "trace.log")
    socket = home.paths.socket()
    with selectors.DefaultSelector() as selector:
        if not launch.resume:
            for port in machine.ports:
                set_aside(home.paths.port_log(port))
        connections = SerialConnections(machine.ports, console_of(graph), home.paths.port_log)
        owner = Owner(
            machine,
            connections,
            selector,
            paced=graph.clock_mode == "paced",
            home=home,
            socket=socket,
            paused=launch.paused or launch.attended,
            interrupts=2,
            on_term=launch.on_term,
            say=audience.say,
        )
        keeper = owner.keeper = Keeper(owner, home.paths, audience.say)
        try:
            origin.replay(connections)
            machine.images.digests()  # now, for the files may change while it runs
            keeper.begin(
                origin.start, origin.cached.snapshot if origin.cached is not None else None
            )
            keeper.to_cache = origin.to_cache
            stdio = None if launch.detached else terminal(owner)
            connect_backends(connections, graph, selector, stdio, home.paths.pty_link)
            listen_for_gdb(owner, selector, audience.say)
            if launch.attended and not launch.paused:
                owner.at_host_time(ATTENDANCE, owner.unpause)
            already = origin.cached is not None and declares(graph, launch.readiness)
            if launch.readiness is not None and not already:
                _await_ready(launch, owner, audience)
                if not declares(graph, launch.readiness):
                    keeper.to_cache = None
            elif origin.to_cache is not None:
                keeper.watch()
            origin.show(connections)
            home.begin(
                graph,
                settings=launch.settings,
                socket=socket,
                detached=launch.detached,
                ports={port["id"]: port["backend"] for port in connections.describe()},
                console=connections.console,
            )
            audience.up()
            if origin.cached is not None:
                owner.ready = True
                owner.publish("ready", detail=origin.detail)
                if already:
                    audience.ready(origin.detail)
                else:
                    audience.say(f"{graph.name} was {origin.detail}")
            try:
                outcome = owner.run()
            except VmmgrError as error:
                home.faulted(error.message)
                raise
            _settle(home, outcome)
        finally:
            keeper.ended(owner.outcome)
            owner.close()
        return outcome


def _settle(home: MachineDirectory, outcome: Outcome) -> None:
    """Write down how it ended; a suspend has done so itself.

    The last suspended state goes only when the guest or the user meant the machine to be over.
    """
    if outcome.kind == "fault":
        home.faulted(outcome.detail)
    elif outcome.kind in ("ended", "down"):
        home.stopped()
    elif outcome.kind != "suspended":
        home.set_stopped()


def _await_ready(launch: Launch, owner: Owner, audience: Audience) -> None:
    from manager.machine.expectation import Expectation, Until
    from manager.text.search import Search

    readiness = launch.readiness
    assert readiness is not None
    connections, keeper = owner.connections, owner.keeper
    assert keeper is not None
    keeper.waits_for_ready = True
    connection = connections.find(readiness.port)

    def settled() -> None:
        keeper.waits_for_ready = False
        timer.cancel()
        connection.listeners.remove(audience.output)

    def finished(verdict: Verdict) -> None:
        settled()
        if verdict.outcome == "matched":
            owner.ready = True
            owner.publish("ready", detail=verdict.detail)
            keeper.ready(verdict.detail)
            audience.ready(verdict.detail)
        else:
            not_ready(ExitCode.FAIL_ON_MATCHED, f"--fail-on matched: {verdict.detail}")

    def too_late() -> None:
        expectation.cancel()
        settled()
        not_ready(
            ExitCode.TIME_BUDGET,
            f"not ready after {readiness.timeout:g} s: "
            f"still waiting for {expectation.waiting_for()!r}; the last it printed:\n"
            + textwrap.indent(expectation.console.last_lines(LAST_LINES), "  | "),
        )

    def not_ready(status: int, detail: str) -> None:
        owner.ready = False
        owner.publish("unready", status=int(status), detail=detail)
        audience.unready(status, detail)
        if launch.attended or not launch.detached:
            owner.finish(Outcome("verdict", status, detail))

    expectation = Expectation(
        owner.machine.clock,
        connection,
        [Until(readiness.wait_for)],
        finished=finished,
        fail_on=Search(readiness.fail_on) if readiness.fail_on is not None else None,
    )
    connection.listeners.add(audience.output)
    timer = owner.at_host_time(
        NO_LIMIT if readiness.timeout is None else readiness.timeout, too_late
    )
    expectation.start()
    expectation.search_soon()
