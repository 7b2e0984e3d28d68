# SPDX-License-Identifier: BSD-2-Clause
"""Hostile code in the process that runs a guest, and what it cannot reach: docs/security.md."""

from __future__ import annotations

import json
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support import intruder
from support.needs import impossible
from support.vmmgr import Vmmgr

from manager.sandbox import landlock, layers

GUEST = bytes.fromhex("66ba0003 ec 66baf803 b021 ee ebfe")
"""mov dx, 0x300; in al, dx; mov dx, 0x3f8; mov al, '!'; out dx, al; here: jmp here."""
MACHINE = """
schema = 1
[boot]
image = "guest.bin"
load = 0x8000
entry = 0x8000
bits = 32
[slots.0]
device = "hostbridge"
[slots.31]
device = "lpc"
[lpc.com1]
backend = "null"
[lpc.intruder]
device = "./intruder.py:IntruderNode"
[ready]
wait-for = "!"
[sandbox]
enabled = true
read = ["{outside}/data"]
write = ["{outside}/results"]
"""
MAY = {
    "write its own state",
    "read what the machine file lets it",
    "write where the machine file lets it",
    "import a module",
    "start a thread",
}
HARMLESS = (
    "read a file",
    "make a file",
    "remove a file",
    "change a file's mode",
    "connect to a socket's path",
    "connect to an abstract socket",
    "connect by TCP",
    "signal a process",
    "fork",
    "run a program",
)
"""What may be tried without a sandbox: it must be possible, or the other tests say nothing."""
REFUSALS = {"EACCES", "EPERM", "EXDEV"}
"""EXDEV is Landlock's answer to a link that would lead out of what is allowed."""
TRIED = intruder.attempts({"outside": "/o", "victim": 1, "state": "/s", "abstract": "", "port": 1})
Found = dict[str, str]


class Surroundings:
    """A machine with the intruder in it, and what is around it on the host."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.command = Vmmgr(folder)
        self.state = folder / "state" / "intruder"
        self.outside = folder / "outside"
        (folder / "state" / "other").mkdir(parents=True)
        for name in ("data", "results"):
            (self.outside / name).mkdir(parents=True)
        for name in ("secret", "spare", "moved", "data/table"):
            (self.outside / name).write_text(name)
        self.secret = self.outside / "secret"
        sleep = [sys.executable, "-c", "input()"]
        self.victim = stack.enter_context(subprocess.Popen(sleep, stdin=subprocess.PIPE))
        stack.callback(self.victim.kill)
        self._targets: dict[str, Any] = {
            "outside": str(self.outside),
            "state": str(self.state),
            "victim": self.victim.pid,
            "abstract": f"\0{folder}",
        }
        for family, address in (
            (socket.AF_UNIX, str(self.outside / "socket")),
            (socket.AF_UNIX, self._targets["abstract"]),
            (socket.AF_INET, ("127.0.0.1", 0)),
        ):
            listener = stack.enter_context(socket.socket(family))
            listener.bind(address)
            listener.listen()
            if family == socket.AF_INET:
                self._targets["port"] = listener.getsockname()[1]
        self.project = folder / "project"
        self.project.mkdir()
        shutil.copy(intruder.__file__, self.project / "intruder.py")
        (self.project / "guest.bin").write_bytes(GUEST)
        self.file = self.project / "intruder.toml"

    def found(self, *settings: str, only: tuple[str, ...] = ()) -> Found:
        """Run the machine until all was tried; what came of each attempt. It is left running."""
        targets = self._targets | ({"only": only} if only else {})
        (self.project / "targets.json").write_text(json.dumps(targets))
        self.file.write_text(MACHINE.replace("{outside}", str(self.outside)))
        self.command("up", "-d", self.file, *(f"--set={key}" for key in settings))
        found: Found = json.loads((self.state / "found.json").read_text())
        return found

    def layers(self) -> dict[str, bool]:
        """Which layers `status` says hold."""
        status = json.loads(self.command("status", "intruder", "--json").stdout)
        return {layer["name"]: layer["holds"] for layer in status["sandbox"]}


@pytest.fixture(scope="module")
def surroundings() -> Iterator[Surroundings]:
    with tempfile.TemporaryDirectory(prefix="vmmgr-") as folder, ExitStack() as stack:
        around = Surroundings(Path(folder), stack)
        yield around
        around.command.any("down", "--all")


@pytest.fixture(scope="module")
def found(surroundings: Surroundings) -> Found:
    if platform.machine() != "x86_64":
        impossible("the intruder knows system calls of x86-64")
    if not all(layer.holds for layer in layers.available()) or landlock.version() < 6:
        impossible("the kernel does not have every layer")
    return surroundings.found()


@pytest.mark.parametrize("attempt", sorted(TRIED.keys() - MAY))
def test_hostile_code_cannot(found: Found, attempt: str) -> None:
    assert found[attempt] in REFUSALS


@pytest.mark.parametrize("attempt", sorted(MAY))
def test_what_a_machine_needs_it_can(found: Found, attempt: str) -> None:
    assert found[attempt] == intruder.REACHED


def test_nothing_outside_has_changed(found: Found, surroundings: Surroundings) -> None:
    around = surroundings

    assert found
    assert {path.name for path in around.outside.iterdir()} == {
        *("secret", "spare", "moved", "socket", "data", "results")
    }
    assert around.secret.read_text() == "secret"
    assert around.victim.poll() is None


def test_status_and_doctor_say_which_layers_hold(found: Found, surroundings: Surroundings) -> None:
    assert found
    assert surroundings.layers() == dict.fromkeys(layers.NAMES, True)
    assert "landlock (version" in surroundings.command("status", "intruder").stdout
    doctor = json.loads(surroundings.command.any("doctor", "--json").stdout)
    (said,) = (item for item in doctor["findings"] if item["check"] == "sandbox")
    assert said["verdict"] == "ok"


def test_without_a_sandbox_all_of_it_is_possible() -> None:
    with tempfile.TemporaryDirectory(prefix="vmmgr-") as folder, ExitStack() as stack:
        around = Surroundings(Path(folder), stack)
        stack.callback(around.command.any, "down", "--all")

        found = around.found("sandbox.enabled=false", only=HARMLESS)

        assert found == dict.fromkeys(HARMLESS, intruder.REACHED)
        assert around.layers() == dict.fromkeys(layers.NAMES, False)
        assert "enabled = false" in around.command("status", "intruder").stdout
