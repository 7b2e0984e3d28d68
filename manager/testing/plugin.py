# SPDX-License-Identifier: BSD-2-Clause
"""The pytest plugin: machines as fixtures. docs/pytest-plugin.md is its manual.

Machines run inside the test process, in virtual time. A state is reached once per session, or
once for all if a directory is given to keep states in, and each test resumes a copy of its own.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from manager.api import Console, Definition, Machine
    from manager.testing.golden import Golden
    from manager.testing.states import StateStore

MARKERS = (
    "machine(file, state='power-on', set={}, port=None): the machine of the fixtures `machine` and "
    "`console`: its machine file, the state it is in, what to change as with --set, and the port "
    "of `console`",
    "requires_state(name): the state that the test's machine has to be in",
)
DEFAULT_ARTIFACTS = "vmmgr-artifacts"


class MachineFactory(Protocol):
    """Makes machines for one test; they are closed at its end."""

    def __call__(
        self,
        file: str | Path,
        state: str = "power-on",
        *,
        set: Mapping[str, object] | None = None,
    ) -> Machine:
        """A machine of the file, in that state."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Our options."""
    group = parser.getgroup("vmmgr", "virtual machines")
    group.addoption(
        "--vmmgr-artifacts",
        metavar="DIR",
        default=DEFAULT_ARTIFACTS,
        help=f"where a failed test leaves its machines [{DEFAULT_ARTIFACTS}]",
    )
    group.addoption(
        "--vmmgr-states",
        metavar="DIR",
        help="keep the states of machines here, for later sessions too",
    )
    group.addoption(
        "--vmmgr-update", action="store_true", help="write what `golden` would compare with"
    )
    group.addoption(
        "--vmmgr-wall",
        metavar="SECONDS",
        type=float,
        default=60.0,
        help="the host's time that one wait for a guest may take [60]",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Our markers."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


_machines = pytest.StashKey[list["Machine"]]()
"""The machines that a test has, for the report when it fails."""


@pytest.fixture(scope="session")
def vmmgr_states(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StateStore]:
    """The states that machines have been in. All workers of pytest-xdist share them."""
    from manager.testing.states import StateStore

    chosen = request.config.getoption("--vmmgr-states")
    base = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        base = base.parent
    folder = request.config.invocation_params.dir / chosen if chosen else base / "vmmgr-states"
    store = StateStore(folder)
    yield store
    store.close()


@pytest.fixture(scope="session")
def _definitions() -> dict[Any, Definition]:
    return {}


@pytest.fixture
def machine_factory(
    request: pytest.FixtureRequest,
    vmmgr_states: StateStore,
    _definitions: dict[Any, Definition],
) -> Iterator[MachineFactory]:
    """Makes machines: `machine_factory("machines/x.toml", state="booted")`."""
    from manager.api import load
    from manager.api.screen import Goldens

    machines = request.node.stash.setdefault(_machines, [])
    wall_guard = request.config.getoption("--vmmgr-wall")

    goldens = Goldens(
        request.path.parent / "golden",
        request.config.getoption("--vmmgr-update"),
        _artifacts(request.node),
    )

    def keep(machine: Machine) -> None:
        machine.wall_guard = wall_guard
        machine.goldens = goldens
        machines.append(machine)

    def make(
        file: str | Path, state: str = "power-on", *, set: Mapping[str, object] | None = None
    ) -> Machine:
        __tracebackhide__ = True
        path = _find(request, file)
        key = (path, tuple(sorted((set or {}).items())))
        if key not in _definitions:
            _definitions[key] = load(path, set)
        return vmmgr_states.machine(_definitions[key], state, keep)

    yield make
    for machine in machines:
        machine.close()
    machines.clear()


@pytest.fixture
def machine(request: pytest.FixtureRequest, machine_factory: MachineFactory) -> Machine:
    """The machine that the test's marker `machine` asks for."""
    arguments = _marker(request)
    wanted = request.node.get_closest_marker("requires_state")
    state = wanted.args[0] if wanted is not None else arguments.get("state", "power-on")
    return machine_factory(arguments["file"], state, set=arguments.get("set"))


@pytest.fixture
def console(request: pytest.FixtureRequest, machine: Machine) -> Console:
    """A serial port of `machine`: the marker's `port`, or the machine's console."""
    return machine.console(_marker(request).get("port"))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compares text with a file in the directory `golden` beside the test: `golden(name, text)`."""
    from manager.testing.golden import Golden

    update = request.config.getoption("--vmmgr-update")
    return Golden(request.path.parent / "golden", update)


def _marker(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The arguments of the marker `machine`, the nearest one first."""
    arguments: dict[str, Any] = {}
    for marker in request.node.iter_markers("machine"):
        given = dict(zip(("file", "state"), marker.args, strict=False)) | marker.kwargs
        arguments = given | arguments
    if "file" not in arguments:
        raise pytest.UsageError(
            f"{request.node.nodeid} has no machine: mark it with "
            '@pytest.mark.machine("machines/x.toml")'
        )
    return arguments


def _find(request: pytest.FixtureRequest, file: str | Path) -> Path:
    """A machine file: beside the test, or from the root of the project."""
    places = [request.path.parent / file, request.config.rootpath / file]
    return next((place for place in places if place.exists()), places[-1])


def _artifacts(item: pytest.Item) -> Path:
    """Where a test leaves what tells of its failure."""
    from manager.testing import failures

    chosen: str = item.config.getoption("--vmmgr-artifacts")
    return item.config.invocation_params.dir / chosen / failures.folder_name(item.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what became of its machines to the report of a test that failed."""
    report = yield
    machines = [machine for machine in item.stash.get(_machines, []) if not machine.closed]
    if report.failed and report.when != "teardown" and machines:
        from manager.testing import failures

        folder = _artifacts(item)
        for number, machine in enumerate(machines):
            name = machine.name if number == 0 else f"{machine.name}-{number + 1}"
            text = failures.keep(machine, folder / name)
            report.sections.append((f"machine {name}", text))
    return report
