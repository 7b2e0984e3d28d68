# SPDX-License-Identifier: BSD-2-Clause
"""A device of a user's own, with hostile code: what runs in it may do all that a guest could that
broke out of its engine. At the guest's read it tries everything, and keeps what came of it.

It runs in a machine's process and imports nothing of the tests. `targets.json` beside it says what
is where.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manager.bus.record import Record, uint
from manager.devices.claims import PortRange
from manager.devices.device import Device
from manager.devices.node import DeviceNode

PORT = 0x300
REACHED = "reached"
NEW_USERS = 0x10000000
PTRACE_ATTACH = 16
LIMITS = (ctypes.c_ulong * 2)(1, 1)
LIBC = ctypes.CDLL(None, use_errno=True)
SYSCALLS = {"mount": 165, "bpf": 321, "io_uring_setup": 425, "process_vm_readv": 310}
"""By their numbers on x86-64, where the test runs."""


def call(name: str, *arguments: Any) -> None:
    """A function of the C library that gives -1 when it fails."""
    if getattr(LIBC, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def syscall(name: str, *arguments: Any) -> None:
    if LIBC.syscall(SYSCALLS[name], *arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def connect(family: socket.AddressFamily, address: Any) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.connect(address)


def listen() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()


def fork() -> None:
    if os.fork() == 0:
        os._exit(0)
    os.wait()


def attempts(targets: dict[str, Any]) -> dict[str, Callable[[], object]]:
    """Everything that is tried, by what it would be."""
    outside, victim = Path(targets["outside"]), targets["victim"]
    secret, state = outside / "secret", Path(targets["state"])
    return {
        "read a file": secret.read_text,
        "read a file through /proc": Path(f"/proc/self/root/{secret}").read_text,
        "list a folder": lambda: list(outside.iterdir()),
        "make a file": lambda: (outside / "new").write_text("x"),
        "make a folder": (outside / "folder").mkdir,
        "make a link": lambda: (outside / "link").symlink_to("x"),
        "change a file": lambda: secret.open("a").write("x"),
        "empty a file": lambda: os.truncate(secret, 0),
        "remove a file": (outside / "spare").unlink,
        "move a file away": lambda: (outside / "moved").rename(state / "moved"),
        "link a file into its own state": lambda: os.link(secret, state / "secret"),
        "copy a file into its own state": lambda: shutil.copy(secret, state / "copy"),
        "change a file's mode": lambda: secret.chmod(0o777),
        "change a file's owner": lambda: os.chown(secret, os.getuid(), os.getgid()),
        "change a file's times": lambda: os.utime(secret, (0, 0)),
        "list another machine's state": lambda: list((state.parent / "other").iterdir()),
        "read its machine file's neighbour": (Path(__file__).parent / "targets.json").read_text,
        "run a program": lambda: subprocess.run(["/bin/true"], check=True),
        "be another program": lambda: os.execv("/nowhere", ["x"]),
        "fork": fork,
        "trace a process": lambda: call("ptrace", PTRACE_ATTACH, victim, 0, 0),
        "read another process's memory": lambda: syscall("process_vm_readv", victim, 0, 0, 0, 0, 0),
        "see another process's environment": Path(f"/proc/{victim}/environ").read_bytes,
        "signal a process": lambda: os.kill(victim, signal.SIGCONT),
        "limit another process": lambda: resource.prlimit(victim, resource.RLIMIT_NOFILE, (9, 9)),
        "have users of its own": lambda: call("unshare", NEW_USERS),
        "mount": lambda: syscall("mount", b"x", b"/", b"tmpfs", 0, 0),
        "load a program into the kernel": lambda: syscall("bpf", 0, 0, 0),
        "go round the filter": lambda: syscall("io_uring_setup", 1, 0),
        "connect to a socket's path": lambda: connect(socket.AF_UNIX, str(outside / "socket")),
        "connect to an abstract socket": lambda: connect(socket.AF_UNIX, targets["abstract"]),
        "connect by TCP": lambda: connect(socket.AF_INET, ("127.0.0.1", targets["port"])),
        "listen by TCP": listen,
        "send by UDP": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "raise its limits": lambda: call("setrlimit", resource.RLIMIT_CORE, LIMITS),
        # what it may do
        "write its own state": lambda: (state / "own").write_text("x"),
        "read what the machine file lets it": (outside / "data" / "table").read_text,
        "write where the machine file lets it": lambda: (outside / "results" / "x").write_text("x"),
        "import a module": lambda: __import__("sqlite3"),
        "start a thread": _start_thread,
    }


def _start_thread() -> None:
    from threading import Thread

    thread = Thread(target=lambda: None)
    thread.start()
    thread.join()


def outcome(attempt: Callable[[], object]) -> str:
    """What came of it: the name of an error number, or that it was done."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    except Exception as error:
        return repr(error)
    return REACHED


@dataclass(slots=True)
class IntruderState(Record):
    """Nothing of its own."""

    TYPE = "intruder"
    reads: int = uint(8, "how often it was read")


class Intruder(Device[IntruderState]):
    """Tries everything once."""

    STATE = IntruderState

    def __init__(self) -> None:
        self.state = self.power_on()
        self._targets = json.loads((Path(__file__).parent / "targets.json").read_text())

    def read_port(self, offset: int) -> int:
        """Run all attempts that are asked for."""
        tried = attempts(self._targets)
        chosen = self._targets.get("only", tried)
        found = {name: outcome(tried[name]) for name in chosen}
        (Path(self._targets["state"]) / "found.json").write_text(json.dumps(found))
        return 0

    def write_port(self, offset: int, value: int) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class IntruderNode(DeviceNode):
    """At port 0x300."""

    SECTION = "lpc"

    @classmethod
    def claim(cls, table: Any, place: Any) -> IntruderNode:
        """One port."""
        return cls(*place, ports=(PortRange(PORT, 1),))

    def build(self, board: Any) -> Intruder:
        """The device."""
        intruder = Intruder()
        board.claim(self.ports[0], intruder)
        return intruder
