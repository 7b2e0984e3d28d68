# SPDX-License-Identifier: BSD-2-Clause
"""A PC inside this process. It runs while one of the methods below is waiting, and never else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from manager.api import report
from manager.api.console import BUDGET, Console
from manager.api.durations import Duration, nanoseconds
from manager.api.errors import MachineEndedError, OutOfBudgetError
from manager.bus.record import NEVER, to_plain
from manager.errors import UsageError

if TYPE_CHECKING:
    from manager.api.definition import Definition
    from manager.api.snapshot import Snapshot
    from manager.machine.ended import Ended
    from manager.machine.expectation import Expectation
    from manager.machine.machine import Machine as Core
SLICE = 10_000_000
"""Virtual ns between two looks at the host's clock; the guest cannot tell."""
WALL_GUARD = 60.0


def _never() -> bool:
    return False


class Machine:
    """A machine that `Definition.boot`, `Definition.resume` or `Snapshot.resume` has made.

    It is a context manager that closes itself.
    """

    def __init__(self, definition: Definition, core: Core) -> None:
        self.definition = definition
        """The machine file that it was made of."""
        self._core: Core | None = core
        self.wall_guard = WALL_GUARD
        """Seconds of the host's time that one wait may take, whatever its budget of guest time."""
        self._consoles: dict[str, Console] = {}
        self._ended: Ended | None = None
        self._failed: Callable[[], bool] = _never

    @property
    def core(self) -> Core:
        """What runs. Not covered by the promise of docs/python-api.md."""
        if self._core is None:
            raise UsageError(f"the machine {self.name} is closed")
        return self._core

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._core is None

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.definition.name

    @property
    def time(self) -> int:
        """Virtual time since power-on in ns."""
        return self.core.now()

    @property
    def ended(self) -> str | None:
        """Why the machine is over, as one line; None while it is not."""
        return None if self._ended is None else self._ended.detail

    @property
    def exit_status(self) -> int | None:
        """The exit status that `vmmgr run` would end with, once the machine is over."""
        return None if self._ended is None else int(self._ended.status)

    # -- ports ----------------------------------------------------------------------------

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
            self._consoles[id] = Console(self, self.core.ports[id], self._prompt(id))
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

    # -- time -----------------------------------------------------------------------------

    def run_for(self, duration: Duration) -> None:
        """Let that much guest time pass, or less when the machine ends.

        Raises FailOnError, and OutOfBudgetError when it takes longer than the wall guard.
        """
        __tracebackhide__ = True
        end = self.time + nanoseconds(duration)
        self._watched(None, lambda: self._advance(lambda: False, end))

    def run_until(
        self,
        condition: Callable[[], object],
        timeout: Duration = BUDGET,
        *,
        every: Duration = "1ms",
        _must: bool = True,
    ) -> None:
        """Run until `condition()`, asked each `every` of guest time, is true.

        Raises OutOfBudgetError, FailOnError, MachineEndedError.
        """
        __tracebackhide__ = True
        step, end = nanoseconds(every), self.time + nanoseconds(timeout)
        if step == 0:
            raise UsageError("a condition cannot be asked all the time: `every` is 0")
        met = bool(condition())
        limit = time.monotonic() + self.wall_guard

        def run() -> None:
            nonlocal met
            while not met and self.time < end and self._ended is None:
                self._advance(lambda: False, min(end, self.time + step), limit)
                met = bool(condition())

        self._watched(None, run)
        if met or not _must:
            return
        if self._ended is not None:
            raise MachineEndedError(f"the machine ended before the condition was met: {self.ended}")
        raise OutOfBudgetError(f"the condition was not met within {timeout} of guest time")

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

    def _wait(self, console: Console, expectation: Expectation) -> Ended | None:
        """Run until the expectation on that console has its verdict."""
        __tracebackhide__ = True

        def run() -> None:
            try:
                self._advance(lambda: expectation.verdict is not None, NEVER, patient=True)
                if self._ended is not None:
                    expectation.look()
            finally:
                console._end()

        self._watched(console, run)
        return self._ended

    def _watched(self, waiting: Console | None, run: Callable[[], None]) -> None:
        """Run, with the `fail_on` of every console that is not waited for on watch."""
        __tracebackhide__ = True
        guarded = [
            item for item in self._consoles.values() if item._guarded() and item is not waiting
        ]
        watches = [(item, item._begin([])) for item in guarded]
        self._failed = lambda: any(watch.verdict is not None for _, watch in watches)
        try:
            run()
            for _, watch in watches:
                watch.look()
        finally:
            self._failed = _never
            for item in guarded:
                item._end()
        for item, watch in watches:
            if watch.verdict is not None:
                raise item.failure()

    def _advance(
        self,
        done: Callable[[], bool],
        end: int,
        limit: float | None = None,
        *,
        patient: bool = False,
    ) -> None:
        """Run until `done` or `end`. `patient`: who asked speaks up about the wall guard."""
        __tracebackhide__ = True
        if limit is None:
            limit = time.monotonic() + self.wall_guard
        while not done() and not self._failed() and self.time < end and self._ended is None:
            self._ended = self.core.run(min(end, self.time + SLICE))
            if time.monotonic() > limit and not done():
                if patient:
                    return
                raise OutOfBudgetError(
                    f"{self.name}: {self.wall_guard:g} s of the host's time are used up"
                )

    # -- what is inside -------------------------------------------------------------------

    def press_power_button(self) -> None:
        """Press the power button; what follows is up to the guest."""
        self.core.inputs.post("power-button")

    def send_break(self, port: str | None = None) -> None:
        """Send a break to a serial port."""
        self.core.inputs.post("break", self.console(port).port)

    @property
    def registers(self) -> dict[str, int]:
        """The CPU's registers by their lower-case names: "rax", "rip", "cs", "cr3"."""
        return report.registers(self.core.cpu.read_state())

    def read_memory(self, address: int, length: int) -> bytes:
        """Guest-physical RAM. Raises UsageError where there is none."""
        try:
            return self.core.memory.read(address, length)
        except ValueError as error:
            raise UsageError(str(error)) from None

    def write_memory(self, address: int, data: bytes) -> None:
        """Change guest-physical RAM, code included. Raises UsageError where there is none."""
        try:
            self.core.memory.write(address, data)
        except ValueError as error:
            raise UsageError(str(error)) from None
        self.core.engine.invalidate(address, address + len(data))

    @property
    def devices(self) -> dict[str, dict[str, Any]]:
        """The state of every device by id, the CPU and the time among them: named fields."""
        states = {id: to_plain(record) for id, record in self.core.records().items()}
        return {id: state for id, state in states.items() if isinstance(state, dict)}

    # -- for good -------------------------------------------------------------------------

    def snapshot(self, path: str | os.PathLike[str]) -> Snapshot:
        """Write the machine down as the new directory `path`; it can run on.

        Raises HostError, for instance when there is something at `path`.
        """
        from manager.api.snapshot import Snapshot
        from manager.snapshot.write import write_snapshot

        directory = Path(path)
        write_snapshot(directory, self.core.run_to_image())
        return Snapshot.open(directory)

    def close(self) -> None:
        """Let go of the host's resources; nothing can be asked of the machine any more."""
        if self._core is not None:
            core, self._core = self._core, None
            core.close()
            core.engine.close()
            for region in core.memory.everything:
                with suppress(BufferError):  # a caller still has a view of it
                    region.memory.close()

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
