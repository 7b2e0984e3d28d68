# SPDX-License-Identifier: BSD-2-Clause
"""What a machine file declares, the PC made of it, and the PC written down: each makes the others.

A machine runs while one of its methods waits, and never else.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from manager.api.console import BUDGET, Console
from manager.api.durations import Duration
from manager.api.inside import Inside
from manager.api.screen import Goldens, Screen
from manager.errors import SnapshotCorruptError, UsageError

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.machine.machine import Machine as Core
    from manager.snapshot.read import Snapshot as Stored


class Definition:
    """What a machine file declares. Machines are made of it, as many as you like."""

    __slots__ = ("_graph",)

    def __init__(self, graph: Graph) -> None:
        """Use `load`."""
        self._graph = graph

    @property
    def name(self) -> str:
        """The machine's name."""
        return self._graph.name

    @property
    def path(self) -> Path:
        """The machine file, as an absolute path."""
        return self._graph.source

    @property
    def memory_size(self) -> int:
        """Bytes of RAM."""
        return self._graph.memory_size

    @property
    def ports(self) -> tuple[str, ...]:
        """What the serial ports are called: "com1", "slots.4"."""
        return tuple(node.port_name for node in self._graph.serial_ports())

    @property
    def identity(self) -> str:
        """The hash of all that the guest can see: a snapshot fits when its own is equal."""
        from manager.graph.identity import identity_hash

        return identity_hash(self._graph)

    @property
    def graph(self) -> Graph:
        """The device graph. Not covered by the promise of docs/python-api.md."""
        return self._graph

    def boot(self) -> Machine:
        """A new machine, about to execute its first instruction. Raises VmmgrError."""
        from manager.machine.machine import Machine as Core

        return Machine(self, Core.power_on(self._graph))

    def resume(self, snapshot: Snapshot | str | os.PathLike[str]) -> Machine:
        """A machine that goes on where the snapshot was taken; the snapshot stays as it is.

        Raises SnapshotMismatchError when it is another machine's, SnapshotCorruptError.
        """
        from manager.machine.machine import Machine as Core
        from manager.machine.match import check_images

        opened = snapshot if isinstance(snapshot, Snapshot) else Snapshot.open(snapshot)
        check_images(self._graph, opened.stored)
        return Machine(self, Core.restore(self._graph, opened.stored))

    def __repr__(self) -> str:
        return f"<Definition {self.name} from {self.path}>"


class Machine(Inside):
    """A machine that `Definition.boot`, `Definition.resume` or `Snapshot.resume` has made.

    It is a context manager that closes itself.
    """

    def __init__(self, definition: Definition, core: Core) -> None:
        self.definition = definition
        """The machine file that it was made of."""
        super().__init__(core)
        self._consoles: dict[str, Console] = {}
        self.goldens = Goldens(Path())
        """Where `screen.assert_matches` looks: the present folder, or what the plugin says."""

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.definition.name

    @property
    def ended(self) -> str | None:
        """Why the machine is over, as one line; None while it is not."""
        ended = self._runner.ended
        return None if ended is None else ended.detail

    @property
    def exit_status(self) -> int | None:
        """The exit status that `vmmgr run` would end with, once the machine is over."""
        ended = self._runner.ended
        return None if ended is None else int(ended.status)

    # -- ports ----------------------------------------------------------------------------

    def send_break(self, port: str | None = None) -> None:
        """Send a break to a serial port."""
        self.core.inputs.post("break", self.console(port).port)

    def console(self, port: str | None = None) -> Console:
        """The port called that ("com1", "lpc.com1", "slots.4"), always the same object.

        Without a name it is the machine's console: the port on stdio, else the one of `[ready]`,
        else COM1, else the first. Raises UsageError.
        """
        from manager.graph.port_names import console_of, resolve_port

        graph = self.core.graph
        ids = [node.id for node in graph.serial_ports()]
        id = resolve_port(ids, port, console_of(graph))
        if id not in self._consoles:
            connected = self.core.ports[id]
            self._consoles[id] = Console(self._runner, connected, self._prompt(id))
        return self._consoles[id]

    @property
    def consoles(self) -> list[Console]:
        """Every serial port, in the order of the device graph."""
        return [self.console(node.id) for node in self.core.graph.serial_ports()]

    def _prompt(self, id: str) -> str | None:
        ready = self.core.graph.ready
        return (
            ready.wait_for
            if ready is not None and id in (ready.port, f"lpc.{ready.port}")
            else None
        )

    @property
    def screen(self) -> Screen:
        """The screen. What is asked of it raises UsageError when the machine has none."""
        return Screen(self._runner, self.goldens)

    # -- time -----------------------------------------------------------------------------

    def run_for(self, duration: Duration) -> None:
        """Let that much guest time pass, or less when the machine ends.

        Raises FailOnError, and OutOfBudgetError when it takes longer than the wall guard.
        """
        __tracebackhide__ = True
        self._runner.run_for(duration)

    def run_until(
        self,
        condition: Callable[[], object],
        timeout: Duration = BUDGET,
        *,
        every: Duration = "1ms",
    ) -> None:
        """Run until `condition()`, asked each `every` of guest time, is true.

        Raises OutOfBudgetError, FailOnError, MachineEndedError.
        """
        __tracebackhide__ = True
        self._runner.require(condition, timeout, every)

    def wait_ready(self) -> None:
        """Run until the machine is ready as `[ready]` of its machine file says.

        Its `timeout` counts as guest time, its `fail-on` as `fail_on` of that console. Raises
        UsageError when there is no `[ready]`; otherwise as `Console.expect`.
        """
        __tracebackhide__ = True
        ready = self.core.graph.ready
        if ready is None:
            raise UsageError(
                f"{self.definition.path}: it does not say when the machine is ready",
                help="add `[ready]` with `wait-for`, or wait for something yourself",
            )
        console = self.console(ready.port)
        if ready.fail_on is not None:
            console.fail_on(ready.fail_on)
        console.expect(ready.wait_for, timeout=ready.timeout_ns / 1e9)

    # -- for good -------------------------------------------------------------------------

    def snapshot(self, path: str | os.PathLike[str]) -> Snapshot:
        """Write the machine down as the new directory `path`; it can run on.

        Raises HostError, for instance when there is something at `path`.
        """
        from manager.snapshot.write import write_snapshot

        directory = Path(path)
        write_snapshot(directory, self.core.run_to_image())
        return Snapshot.open(directory)

    def close(self) -> None:
        """Let go of the host's resources; nothing can be asked of the machine any more."""
        self._runner.close()

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Machine {self.name}, {'closed' if self.closed else f'at {self.time} ns'}>"


class Snapshot:
    """A snapshot's directory, opened: its state is checked, its RAM is only mapped when needed."""

    __slots__ = ("_stored",)

    def __init__(self, stored: Stored) -> None:
        """Use `Snapshot.open`."""
        self._stored = stored

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Snapshot:
        """Open the snapshot in directory `path`. Raises SnapshotCorruptError."""
        from manager.snapshot.read import open_snapshot

        return cls(open_snapshot(Path(path)))

    @property
    def path(self) -> Path:
        """Its directory."""
        return self._stored.directory

    @property
    def machine(self) -> str:
        """The name of the machine that it is of."""
        return self._stored.header.machine

    @property
    def time(self) -> int:
        """When it was taken: ns of virtual time."""
        return self._stored.header.virtual_time

    @property
    def identity(self) -> str:
        """The hash of all that the guest can see of its machine."""
        return self._stored.header.identity_hash

    @property
    def devices(self) -> dict[str, str]:
        """Device id -> type of its state, the CPU among them."""
        return self._stored.devices

    @property
    def stored(self) -> Stored:
        """What was read. Not covered by the promise of docs/python-api.md."""
        return self._stored

    def device(self, id: str) -> dict[str, Any]:
        """The state of one device: named fields. Raises KeyError."""
        return dict(self._stored.states[id].fields)

    def verify(self) -> None:
        """Check every byte of it, RAM included. Raises SnapshotCorruptError."""
        self._stored.verify_ram()

    def resume(self) -> Machine:
        """The machine, with the machine file as it was when the snapshot was taken."""
        from manager.graph.plain import GraphFormatError, from_plain

        try:
            graph = from_plain(self._stored.manifest.config)
        except GraphFormatError as error:
            raise SnapshotCorruptError(f"{self.path}: its configuration: {error}") from None
        return Definition(graph).resume(self)

    def __repr__(self) -> str:
        return f"<Snapshot of {self.machine} at {self.time} ns in {self.path}>"
