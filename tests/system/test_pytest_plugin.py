# SPDX-License-Identifier: BSD-2-Clause
"""The pytest plugin, as a kernel's project would use it: in a pytest of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.disk_writer import writer
from support.vmmgr import ROOT

MACHINES = ROOT / "machines"
GOLDEN = Path(__file__).with_name("goldens") / "failed-test.txt"
MANY = int(os.environ.get("VMMGR_MANY_TESTS", "8"))
"""How many tests share one Linux; 100 is the figure in docs/pytest-plugin.md."""
UPDATE = "VMMGR_UPDATE_GOLDENS"
"""Set it to have what changed on purpose written down."""


@dataclass(frozen=True)
class Project:
    """A directory with tests, and pytest to run them with."""

    folder: Path

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text.replace("MACHINES", str(MACHINES)))

    def pytest(self, *arguments: str, status: int = 0) -> str:
        """Run pytest with our plugin and pytest-xdist's, whatever else is installed."""
        plugins = ("-p", "manager.testing.plugin", "-p", "xdist")
        result = subprocess.run(
            [sys.executable, "-m", "pytest", *plugins, "-p", "no:cacheprovider", "-q",
             "--strict-markers", "-W", "error", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT),
                 "PYTEST_ADDOPTS": "", "CI": "", "BUILD_NUMBER": ""},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )  # fmt: skip
        assert result.returncode == status, result.stdout[-4000:] + result.stderr[-2000:]
        return result.stdout


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_marked_tests_get_machines_of_their_own(project: Project) -> None:
    project.write(
        "test_hello.py",
        """
import pytest

pytestmark = pytest.mark.machine("MACHINES/hello.toml", state="booted")

def test_halt(machine, console):
    console.send_line("q")
    machine.run_until(lambda: machine.ended)

def test_help(console):
    assert "this help" in console.command("h")

@pytest.mark.requires_state("power-on")
def test_from_the_first_instruction(machine, console):
    assert machine.time == 0
    console.expect_line("Hello from")

@pytest.mark.machine("MACHINES/hello.toml", port="slots.4", set={"memory.size": "32M"})
def test_second_port(machine, console):
    assert machine.definition.memory_size == 32 << 20
    assert console.text == "Hello from vmmgr, PCI uart in slot 4\\n"

def test_two_machines(machine_factory):
    one, two = (machine_factory("MACHINES/hello.toml", "booted") for _ in range(2))
    one.console().command("u")
    assert two.time < one.time
""",
    )

    assert "5 passed" in project.pytest()


def test_a_test_finds_nothing_of_the_tests_before_it(project: Project) -> None:
    project.write(
        "test_traces.py",
        """
import pytest

pytestmark = pytest.mark.machine("MACHINES/hello.toml", state="booted")
seen, cores = [], []

def halted(machine):
    machine.console().send_line("q")
    machine.run_until(lambda: machine.ended)

def rewritten(machine):
    machine.write_memory(0x1000, bytes(256 << 10))
    machine.run_for("1ms")

def marked(machine):
    machine.run_for("3s")
    machine.mark()

def half_asked(machine):
    machine.console().fail_on("help")
    machine.console().send("hhh")
    machine.run_for("100us")

def listened(machine):
    machine.core.ports["lpc.com1"].listeners.add(heard)

def heard(data):
    raise AssertionError(data)

def waited(machine):
    with pytest.raises(AssertionError):
        machine.console().expect("never comes", timeout="10ms")

def closed(machine):
    machine.close()

@pytest.mark.parametrize(
    "leave", [halted, rewritten, marked, half_asked, listened, waited, closed, print] * 2
)
def test_it_is_as_the_state_says(machine, console, leave):
    cores.append(machine.core)
    helped = console.command("h")
    memory = machine.read_memory(0, 0x9f000)
    seen.append((machine.time, machine.devices, console.text, helped, memory))
    assert seen[-1] == seen[0]
    leave(machine)

def test_machines_were_used_again():
    assert len(set(map(id, cores))) == 1 + 4  # but not those with a mark or a listener of a test's
""",
    )

    assert "17 passed" in project.pytest("-n", "0")


def test_states_of_ones_own_are_reached_once(project: Project) -> None:
    project.write(
        "conftest.py",
        """
from manager.testing import state

@state("counting")
def count(machine):
    with open("reached", "a") as log:
        log.write("x")
    machine.console().command("t")

@state("counted", after="counting")
def counted(machine):
    machine.console().command("u")
""",
    )
    project.write(
        "test_states.py",
        """
import pytest

@pytest.mark.machine("MACHINES/hello.toml", "counted")
@pytest.mark.parametrize("n", range(4))
def test_state(machine, console, n):
    assert "up" in console.text
    console.assert_absent("up")

@pytest.mark.machine("MACHINES/hello.toml", "no-such-state")
def test_unknown(machine):
    pass
""",
    )

    first = project.pytest("-n", "2", "--vmmgr-states", "kept", "-k", "not unknown")
    again = project.pytest("--vmmgr-states", "kept", status=1)

    assert "4 passed" in first
    assert "there is no state 'no-such-state'" in again
    assert "4 passed, 1 error" in again
    assert (project.folder / "reached").read_text() == "x"


def test_failed_test_shows_and_keeps_its_machine(project: Project) -> None:
    project.write(
        "test_failure.py",
        """
import pytest

@pytest.mark.machine("MACHINES/hello.toml", "booted")
def test_uptime(console):
    console.send_line("u")
    console.expect("up 0.02 s", timeout="100ms")
""",
    )

    report = project.pytest("-o", "console_output_style=classic", status=1)

    kept = project.folder / "vmmgr-artifacts/test_failure.py-test_uptime/hello"
    assert (kept / "snapshot/snapshot.vmms").exists()
    assert b"Hello from vmmgr" in (kept / "lpc.com1.log").read_bytes()
    shown = report.replace(str(project.folder), "PROJECT").replace(str(MACHINES), "MACHINES")
    shown = re.sub(r"in \d+\.\d+s", "in TIME", shown)
    shown = re.sub(r"\b[0-9a-f]{16}\b", "HEX", shown)
    shown = re.sub(r"^(  [a-z]+\.\S+) +\S+=.*$", r"\1 FIELDS", shown, flags=re.MULTILINE)
    shown = "\n".join(line.rstrip() for line in shown.splitlines()) + "\n"
    if os.environ.get(UPDATE):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(shown)
    assert shown == GOLDEN.read_text()


def test_command_in_the_report_opens_the_machine(project: Project) -> None:
    project.write(
        "test_failure.py",
        """
import pytest

@pytest.mark.machine("MACHINES/hello.toml", "booted")
def test_nothing_is_wrong_but_the_test(machine):
    assert machine.time == 0
""",
    )
    report = project.pytest(status=1)
    command = re.search(r"vmmgr (snapshot clone (\S+) (\S+)) && vmmgr resume", report)
    assert command is not None
    env = {**os.environ, "VMMGR_STATE_HOME": str(project.folder / "state")}

    cloned = subprocess.run(
        [sys.executable, "-m", "manager", *command[1].split()],
        cwd=ROOT, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert cloned.returncode == 0, cloned.stderr
    assert (project.folder / "state" / command[3]).is_dir()


def test_state_that_cannot_be_reached_fails_every_test_at_once(project: Project) -> None:
    project.write(
        "test_unready.py",
        """
import pytest

@pytest.mark.machine("MACHINES/hello.toml", "booted", set={"ready.wait-for": "never this",
                                                           "ready.timeout": "200ms"})
@pytest.mark.parametrize("n", range(3))
def test_anything(machine, n):
    pass
""",
    )

    report = project.pytest("-n", "2", status=1)

    assert "3 errors" in report
    assert "'never this' did not come within 200ms of guest time" in report


@pytest.mark.usefixtures("linux")
def test_many_tests_share_one_booted_linux(project: Project) -> None:
    project.write(
        "test_linux.py",
        """
import pytest

@pytest.mark.machine("MACHINES/linux.toml", "booted")
@pytest.mark.parametrize("n", range(COUNT))
def test_shell(console, n):
    assert console.command(f"echo $(({n} * 7)); touch /seen-{n}") == str(n * 7)
    assert console.command("ls -d /seen* | wc -l") == "1"
""".replace("COUNT", str(MANY)),
    )

    assert f"{MANY} passed" in project.pytest("-n", "2")


def test_states_keep_disks_and_are_made_anew_for_another_image(project: Project) -> None:
    image = project.folder / "disk.img"
    image.write_bytes(b"\xaa" * 32768)
    writer(project.folder, 'image = "disk.img"', count=2)
    project.write(
        "conftest.py",
        """
from manager.testing import state

@state("written", after="power-on")
def written(machine):
    with open("reached", "a") as log:
        log.write("x")
    machine.console().expect(r"ww\\.")
""",
    )
    project.write(
        "test_disk.py",
        """
import pathlib, pytest

@pytest.mark.machine("writer.toml", "written")
@pytest.mark.parametrize("n", range(2))
def test_disk(machine, n):
    disk = machine.core.disks["root"]
    assert disk.read(512, 512)[:4] == bytes.fromhex("01001111")
    assert disk.read(1024, 1) == pathlib.Path("disk.img").read_bytes()[:1]
""",
    )

    project.pytest("--vmmgr-states", "kept")
    project.pytest("--vmmgr-states", "kept")
    assert (project.folder / "reached").read_text() == "x"
    image.write_bytes(b"\xbb" * 32768)
    project.pytest("--vmmgr-states", "kept")
    assert (project.folder / "reached").read_text() == "xx"
