# SPDX-License-Identifier: BSD-2-Clause
"""Bringing a machine up under this process: power on or restore, wire, own, and clean up."""

from __future__ import annotations

import re
import selectors
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from manager.control.home import Home
from manager.control.hosts import connect_backends, terminal
from manager.control.outcome import Outcome
from manager.control.owner import Owner
from manager.control.paths import MachinePaths
from manager.control.saved import discard_saved, open_saved
from manager.control.wiring import Wire, Wiring, console_of, resolve_port
from manager.errors import ExitCode, HostError, VmmgrError

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.machine.expectation import Verdict
    from manager.machine.machine import Machine


@dataclass(frozen=True, slots=True)
class Readiness:
    """When the machine counts as up."""

    wait_for: re.Pattern[str]
    fail_on: re.Pattern[str] | None = None
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
    paused: bool = False
    readiness: Readiness | None = None


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
    home = Home.enter(MachinePaths.of(launch.graph.name))
    try:
        machine = _make(launch, home)
        try:
            return _own(launch, home, machine, audience)
        finally:
            machine.close()
    finally:
        home.close()


def _make(launch: Launch, home: Home) -> Machine:
    from manager.machine.machine import Machine

    if launch.resume:
        home.situation().require_saved()
        return Machine.restore(launch.graph, open_saved(home.paths))
    machine = Machine.power_on(launch.graph)
    if launch.fresh:
        discard_saved(home.paths)
    return machine


def _own(launch: Launch, home: Home, machine: Machine, audience: Audience) -> Outcome:
    graph = launch.graph
    socket = home.paths.socket()
    with selectors.DefaultSelector() as selector:
        if not launch.resume:
            for port in machine.ports:
                _set_aside(home.paths.port_log(port))
        wires = {id: Wire(port, home.paths.port_log(id)) for id, port in machine.ports.items()}
        wiring = Wiring(wires, console_of(graph))
        owner = Owner(
            machine,
            wiring,
            selector,
            paced=graph.clock_mode == "paced",
            home=home,
            socket=socket,
            paused=launch.paused,
            interrupts=2,
            say=audience.say,
        )
        try:
            stdio = None if launch.detached else terminal(owner, audience.say)
            connect_backends(wiring, graph, selector, stdio)
            if launch.readiness is not None:
                _await_ready(launch, owner, audience)
            home.begin(
                graph,
                settings=launch.settings,
                socket=socket,
                detached=launch.detached,
                ports={port["id"]: port["backend"] for port in wiring.describe()},
                console=wiring.console,
                hashes=hashes_of(graph),
            )
            audience.up()
            try:
                outcome = owner.run()
            except VmmgrError as error:
                home.faulted(error.message)
                raise
            _settle(home, outcome)
        finally:
            owner.close()
        return outcome


def hashes_of(graph: Graph) -> tuple[str, str]:
    """The graph's hashes: of what the guest sees, and of everything."""
    from manager.graph.identity import full_hash, identity_hash

    return identity_hash(graph), full_hash(graph)


def _settle(home: Home, outcome: Outcome) -> None:
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

    readiness = launch.readiness
    assert readiness is not None
    wiring = owner.wiring
    wire = wiring.wires[resolve_port(wiring.wires, readiness.port, wiring.console)]

    def settled() -> None:
        owner.at_host_time(None, too_late)
        wire.listeners.clear()
        wire.port.on_output = None

    def finished(verdict: Verdict) -> None:
        settled()
        if verdict.outcome == "matched":
            audience.ready(verdict.detail)
        else:
            not_ready(ExitCode.FAIL_ON_MATCHED, f"--fail-on matched: {verdict.detail}")

    def too_late() -> None:
        expectation.cancel()
        settled()
        not_ready(
            ExitCode.TIME_BUDGET,
            f"not ready after {readiness.timeout:g} s: "
            f"still waiting for {expectation.waiting_for()!r}",
        )

    def not_ready(status: int, detail: str) -> None:
        audience.unready(status, detail)
        if not launch.detached:
            owner.finish(Outcome("verdict", status, detail))

    expectation = Expectation(
        owner.machine.clock,
        wire.port,
        [Until(readiness.wait_for)],
        finished=finished,
        collect=wire.pump,
        fail_on=readiness.fail_on,
    )
    wire.listeners += [audience.output, expectation.heard]
    wire.port.on_output = expectation.sending
    owner.at_host_time(readiness.timeout, too_late)
    expectation.start()
    expectation.sending()


def _set_aside(log: Path) -> None:
    """Keep one earlier log: that of the boot before."""
    try:
        if log.exists():
            log.replace(log.with_name(f"{log.name}.1"))
    except OSError as error:
        raise HostError(f"{log}: cannot set the old log aside: {error.strerror}") from None
