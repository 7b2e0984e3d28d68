# SPDX-License-Identifier: BSD-2-Clause
"""Bringing a machine up under this process, step by step, and owning it to its end."""

from __future__ import annotations

import selectors
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from manager.errors import VmmgrError
from manager.graph.port_names import console_of
from manager.state.directory import MachineDirectory
from manager.state.disks import MachineDisks
from manager.state.paths import MachinePaths
from manager.state.port_log import set_aside
from manager.vmm import readiness
from manager.vmm.boot_source import BootSource, open_source
from manager.vmm.connections import SerialConnections
from manager.vmm.enclosing import enclose
from manager.vmm.loop import EventLoop
from manager.vmm.plugging import connect_backends, let_gdb_in, terminal
from manager.vmm.recorder import RunRecorder
from manager.vmm.running import RunningMachine
from manager.vmm.serving import serve_clients

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from manager.machine.machine import Machine
    from manager.vmm.launch import Audience, Launch
    from manager.vmm.outcome import Outcome
    from manager.vmm.timers import HostTimers

ATTENDANCE = 10.0
"""Seconds that a machine waits for the console that it was started with."""


def own(launch: Launch, audience: Audience) -> Outcome:
    """Bring the machine up and own it to its end.

    Raises WrongStateError when another process owns it, SnapshotMismatchError and
    SnapshotCorruptError when it cannot be restored, HostError; then it is as it was before.
    """
    with ExitStack() as stack:  # steps are undone in the opposite order
        directory = stack.enter_context(MachineDirectory.take(MachinePaths.of(launch.graph.name)))
        if launch.detached:
            directory.begin_log()
        source = _open_machine(launch, directory, stack)
        selector = stack.enter_context(selectors.DefaultSelector())
        connections = _open_ports(launch, source, directory)
        recorder = RunRecorder(connections, directory.paths, audience.say)
        running = RunningMachine(
            source.machine,
            connections,
            paused=launch.paused or launch.attended,
            on_term=launch.on_term,
            directory=directory,
            recorder=recorder,
            say=audience.say,
        )
        stack.callback(running.close)
        socket = directory.paths.socket()
        serve_clients(running, socket, selector, stack)
        _begin_record(recorder, source, running, stack)
        stdio = None if launch.detached else terminal(running, raw=launch.raw)
        connect_backends(connections, launch.graph, selector, stdio, directory.paths.pty_link)
        running.networks.connect(selector, anew=source.is_boot)
        if not source.is_boot:
            running.networks.cut()
        let_gdb_in(running, selector, audience.say, stack)
        paced = launch.graph.clock_mode == "paced"
        loop = EventLoop(running, selector, paced=paced, interrupts=2, say=audience.say)
        running.restored.connect(selector, loop.timers)
        source.check(running.restored)
        _wait_for_console(launch, running, loop.timers)
        _wait_until_ready(launch, source, running, loop.timers, audience)
        source.show(connections)
        _write_down(launch, connections, directory, socket)
        running.sandbox = enclose(launch.graph, directory.paths, socket, source)
        audience.up()
        _tell_of_warm_start(launch, source, running, audience)
        outcome = _run(loop, directory)
        if outcome.kind in ("ended", "down") and running.restored.damage is None:
            _write_images(running.machine, directory, audience.say)
        return outcome


def _open_machine(launch: Launch, directory: MachineDirectory, stack: ExitStack) -> BootSource:
    source = open_source(launch, directory)
    stack.callback(source.machine.close)
    debug = launch.graph.debug
    if debug.trace and debug.trace_file is None:
        source.machine.trace.open(directory.paths.directory / "trace.log")
    return source


def _open_ports(
    launch: Launch, source: BootSource, directory: MachineDirectory
) -> SerialConnections:
    ports, log = source.machine.ports, directory.paths.port_log
    if not launch.resume:
        for port in ports:
            set_aside(log(port))
    return SerialConnections(ports, console_of(launch.graph), log)


def _begin_record(
    recorder: RunRecorder, source: BootSource, running: RunningMachine, stack: ExitStack
) -> None:
    source.fill_logs(running.connections)
    source.machine.images.digests()  # now, for the files may change while it runs
    stack.callback(lambda: recorder.ended(running.outcome))
    recorder.begin(source.machine, source.start, source.snapshot)


def _wait_for_console(launch: Launch, running: RunningMachine, timers: HostTimers) -> None:
    def go_on() -> None:
        with suppress(VmmgrError):  # what holds it else says so itself
            running.holds.unpause()

    if launch.attended and not launch.paused:
        timers.after(ATTENDANCE, go_on)


def _wait_until_ready(
    launch: Launch,
    source: BootSource,
    running: RunningMachine,
    timers: HostTimers,
    audience: Audience,
) -> None:
    """Have the machine waited for, if the user does or it is to be kept; it is not running yet."""
    wanted, shelf, declared = launch.readiness, source.shelf, launch.graph.ready
    keep = readiness.keep_when_still(running, shelf, audience.say) if shelf is not None else None
    if wanted is not None and not _was_waited_for(launch, source):
        then = keep if keep is not None and wanted.is_declared_by(launch.graph) else None
        vital = launch.attended or not launch.detached
        readiness.await_ready(running, timers, wanted, audience, then=then, is_vital=vital)
    elif declared is not None and source.is_boot:
        readiness.watch_for_ready(running, declared, keep)


def _was_waited_for(launch: Launch, source: BootSource) -> bool:
    """Whether what the user waits for came before the machine was kept as a warm start."""
    wanted = launch.readiness
    return source.warm_start is not None and (
        wanted is not None and wanted.is_declared_by(launch.graph)
    )


def _write_down(
    launch: Launch, connections: SerialConnections, directory: MachineDirectory, socket: Path
) -> None:
    directory.begin(
        launch.graph,
        settings=launch.settings,
        socket=socket,
        detached=launch.detached,
        ports={port["id"]: port["backend"] for port in connections.describe()},
        console=connections.console,
    )


def _tell_of_warm_start(
    launch: Launch, source: BootSource, running: RunningMachine, audience: Audience
) -> None:
    if source.warm_start is None:
        return
    detail = f"taken from the ready cache, not booted: {source.warm_start.detail}"
    running.waiting.got_ready(detail)
    if _was_waited_for(launch, source):
        audience.ready(detail)
    else:
        audience.say(f"{launch.graph.name} was {detail}")


def _write_images(
    machine: Machine, directory: MachineDirectory, say: Callable[[str], None]
) -> None:
    """The machine is over: write the disks of `mode = "direct"` into their images."""
    name, disks = machine.graph.name, MachineDisks(directory.paths)
    ready = []
    for source in machine.graph.disks:
        if source.mode != "direct":
            continue
        if tags := disks.needed_by(machine.disks[source.name], source.name):
            say(
                f'disk "{source.name}": {source.image} is not written, because snapshots need it '
                f"as it is: {', '.join(tags)}; what the guest wrote is kept. To write it all the "
                f"same: vmmgr disk commit {name} {source.name} --image --force"
            )
        else:
            ready.append(source.name)
    try:
        disks.write_back(machine.graph, machine.disks, ready)
    except VmmgrError as error:
        say(str(error))


def _run(loop: EventLoop, directory: MachineDirectory) -> Outcome:
    """Run the machine to its end, and write down what that was; a suspend has done so itself.

    The last suspended state goes only when the guest or the user meant the machine to be over.
    """
    try:
        outcome = loop.run()
    except VmmgrError as error:
        directory.faulted(error.message)
        raise
    if outcome.kind == "fault":
        directory.faulted(outcome.detail, outcome.story)
    elif outcome.kind in ("ended", "down"):
        directory.stopped()
    elif outcome.kind != "suspended":
        directory.set_stopped()
    return outcome
