# SPDX-License-Identifier: BSD-2-Clause
"""Named states of machines: reached once, written down, and resumed by the tests that want one.

A state is a snapshot in a directory named by all that it depends on: the machine as the guest
sees it, the content of what it boots, the functions that led there, and vmmgr's version. Several
processes may share the directory; one of them makes the state while the others wait.
"""

from __future__ import annotations

import fcntl
import inspect
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from manager.errors import UsageError, VmmgrError
from manager.lazy import dataclass
from manager.testing.spares import Spares

if TYPE_CHECKING:
    from manager.api import Definition, Machine, Snapshot

Reach = Callable[["Machine"], None]
POWER_ON = "power-on"
"""The state in which nothing has been executed."""
BOOTED = "booted"
"""The state that `[ready]` of the machine file describes."""
_LOGGED = 64 << 10
"""Bytes of each port's output that a state remembers."""


@dataclass(frozen=True, slots=True)
class State:
    """How to get to a state from another."""

    name: str
    after: str
    reach: Reach

    @property
    def source(self) -> str:
        """The text of the function, for the key."""
        try:
            return inspect.getsource(self.reach)
        except OSError:
            return repr(self.reach.__code__.co_code)


_STATES: dict[str, State] = {}


def state(name: str, after: str = BOOTED) -> Callable[[Reach], Reach]:
    """Declare a state of your own; the decorated function leads there from the state `after`.

    Put it into conftest.py. The function is called once for each machine, with a machine in the
    state before, and whatever it needs to do that a test should not see.
    """

    def declare(reach: Reach) -> Reach:
        if name in (POWER_ON, BOOTED):
            raise UsageError(f"the state {name!r} is vmmgr's own", help="choose another name")
        _STATES[name] = State(name, after, reach)
        return reach

    return declare


def _state(name: str) -> State:
    if name == BOOTED:
        return State(BOOTED, POWER_ON, _boot)
    if name not in _STATES:
        known = ", ".join([POWER_ON, BOOTED, *_STATES])
        raise UsageError(
            f"there is no state {name!r}", help=f"declare it with @state in conftest.py; {known}"
        )
    return _STATES[name]


def _boot(machine: Machine) -> None:
    machine.wait_ready()


class StateFailedError(VmmgrError, AssertionError):
    """A state could not be reached, in this process or in another."""


class StateStore:
    """The states in one directory. `on_machine` is told of each machine that is on its way."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._opened: dict[Path, Snapshot] = {}
        self._spares = Spares()
        self.made = 0
        """How many states this process had to make itself."""

    def machine(
        self, definition: Definition, name: str, on_machine: Callable[[Machine], None]
    ) -> Machine:
        """A machine of its own in that state. Raises VmmgrError."""
        if name == POWER_ON:
            machine = definition.boot()
            on_machine(machine)
            return machine
        place = self._place(definition, name, on_machine)
        machine = self._spares.take((definition, place)) or self._resume(definition, place)
        on_machine(machine)
        for console in machine.consoles:
            console.recall((place / f"{console.port}.log").read_bytes())
        return machine

    def _resume(self, definition: Definition, place: Path) -> Machine:
        if place not in self._opened:
            from manager.api import Snapshot

            self._opened[place] = Snapshot.open(place / "snapshot")
        machine = definition.resume(self._opened[place])
        self._spares.expect(machine, (definition, place))
        return machine

    def close(self) -> None:
        """Let go of the machines that wait for another test."""
        self._spares.close()

    def _place(
        self, definition: Definition, name: str, on_machine: Callable[[Machine], None]
    ) -> Path:
        """The directory of a state, which is there when this returns."""
        place = self.directory / _key(definition, name)
        if (place / "snapshot").exists():
            return place
        self.directory.mkdir(parents=True, exist_ok=True)
        with _locked(place.with_suffix(".lock")):
            failed = place.with_suffix(".failed")
            if failed.exists():
                raise StateFailedError(failed.read_text())
            if not (place / "snapshot").exists():
                try:
                    self._make(definition, _state(name), place, on_machine)
                except VmmgrError as error:
                    failed.write_text(f"the state {name!r} cannot be reached: {error}")
                    raise
        return place

    def _make(
        self,
        definition: Definition,
        wanted: State,
        place: Path,
        on_machine: Callable[[Machine], None],
    ) -> None:
        machine = self.machine(definition, wanted.after, on_machine)
        wanted.reach(machine)
        self.made += 1
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for console in machine.consoles:
            (place / f"{console.port}.log").write_bytes(console.raw[-_LOGGED:])
        machine.snapshot(place / "snapshot")
        machine.close()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _key(definition: Definition, name: str) -> str:
    """What a state depends on, as a name for a directory."""
    from blake3 import blake3

    from manager.graph.boot_files import boot_files
    from manager.machine.disks import beginnings
    from manager.version import __version__

    functions = []
    wanted = name
    while wanted != POWER_ON:
        found = _state(wanted)
        functions.append([found.name, found.source])
        wanted = found.after
        if len(functions) > len(_STATES) + 1:
            raise UsageError(f"the state {name!r} comes after itself")
    ready = definition.graph.ready
    facts = [
        __version__,
        definition.identity,
        repr(ready),
        functions,
        [
            blake3(path.read_bytes()).hexdigest()
            for path in boot_files(definition.graph.boot).values()
        ],
        beginnings(definition.graph),
    ]
    digest = blake3(json.dumps(facts).encode()).hexdigest()
    return f"{definition.name}-{name}-{digest[:16]}"
