# SPDX-License-Identifier: BSD-2-Clause
"""A machine that this process owns: opened step by step, and written down when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manager.errors import VmmgrError
from manager.graph.port_names import console_of
from manager.lazy import dataclass
from manager.state.directory import MachineDirectory
from manager.state.disks import MachineDisks
from manager.state.paths import MachinePaths
from manager.state.port_log import set_aside
from manager.vmm.boot_source import BootSource, open_source
from manager.vmm.connections import SerialConnections
from manager.vmm.plugging import connect_backends, let_gdb_in, terminal
from manager.vmm.recorder import RunRecorder
from manager.vmm.running import RunningMachine
from manager.vmm.serving import serve_clients

if TYPE_CHECKING:
    import selectors
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    from manager.vmm.launch import Audience, Launch
    from manager.vmm.outcome import Outcome
    from manager.vmm.timers import HostTimers


@dataclass(frozen=True, slots=True)
class Owned:
    """A machine that this process owns."""

    launch: Launch
    directory: MachineDirectory
    source: BootSource
    running: RunningMachine
    socket: Path

    @classmethod
    def open(
        cls,
        launch: Launch,
        selector: selectors.BaseSelector,
        audience: Audience,
        stack: ExitStack,
        kind: type[RunningMachine] = RunningMachine,
    ) -> Owned:
        """Take it, and open all that it has on the host; `stack` undoes that.

        Raises WrongStateError when another process owns it, SnapshotMismatchError and
        SnapshotCorruptError when it cannot be restored, HostError.
        """
        directory = stack.enter_context(MachineDirectory.take(MachinePaths.of(launch.graph.name)))
        if launch.detached:
            directory.begin_log()
        source = _open_machine(launch, directory, stack)
        connections = _open_ports(launch, source, directory)
        recorder = RunRecorder(connections, directory.paths, audience.say, together=launch.together)
        running = kind(
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
        return cls(launch, directory, source, running, socket)

    def check(self, selector: selectors.BaseSelector, timers: HostTimers) -> None:
        """Have what it goes on from checked while it runs."""
        self.running.restored.connect(selector, timers)
        self.source.check(self.running.restored)

    def begin(self) -> None:
        """Write down that it runs."""
        self.source.show(self.running.connections)
        ports = self.running.connections.describe()
        self.directory.begin(
            self.launch.graph,
            settings=self.launch.settings,
            socket=self.socket,
            detached=self.launch.detached,
            ports={port["id"]: port["backend"] for port in ports},
            console=self.running.connections.console,
        )

    def failed(self, error: VmmgrError) -> None:
        """Write down that it cannot go on."""
        self.directory.faulted(error.message)

    def conclude(self, outcome: Outcome, say: Callable[[str], None]) -> None:
        """Write down how it ended; a suspend has done so itself.

        The last suspended state goes only when the guest or the user meant the machine to be over.
        """
        if outcome.kind == "fault":
            self.directory.faulted(outcome.detail, outcome.story)
        elif outcome.kind in ("ended", "down"):
            self.directory.stopped()
            if self.running.restored.damage is None:
                self._write_images(say)
        elif outcome.kind != "suspended":
            self.directory.set_stopped()

    def _write_images(self, say: Callable[[str], None]) -> None:
        """The machine is over: write the disks of `mode = "direct"` into their images."""
        machine = self.running.machine
        name, disks = machine.graph.name, MachineDisks(self.directory.paths)
        ready = []
        for source in machine.graph.disks:
            if source.mode != "direct":
                continue
            if tags := disks.needed_by(machine.disks[source.name], source.name):
                say(
                    f'disk "{source.name}": {source.image} is not written, because snapshots need '
                    f"it as it is: {', '.join(tags)}; what the guest wrote is kept. To write it "
                    f"all the same: vmmgr disk commit {name} {source.name} --image --force"
                )
            else:
                ready.append(source.name)
        try:
            disks.write_back(machine.graph, machine.disks, ready)
        except VmmgrError as error:
            say(str(error))


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
