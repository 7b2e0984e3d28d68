# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr doctor`: check what vmmgr needs of this host, and say what each finding means."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from manager.cli.output import print_json
from manager.errors import ExitCode, HostError, VmmgrError
from manager.lazy import dataclass
from manager.text.columns import columns


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    check: str
    verdict: Literal["ok", "warning", "error"]
    found: str
    meaning: str = ""
    """What it means for the user; empty when all is well."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "doctor",
        description="Checks Python, the CPU engine, the kernel's help for snapshots, limits, the "
        "terminal and the state directory. Exit code 1 when something is broken.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    findings = [check() for check in CHECKS]
    broken = any(finding.verdict == "error" for finding in findings)
    if args.json:
        listed = [asdict(finding) for finding in findings]
        print_json({"ok": not broken, "findings": listed}, indented=True)
        return ExitCode.FAILURE if broken else ExitCode.OK
    rows: list[tuple[str, str, str]] = []
    for finding in findings:
        rows.append((f"{finding.verdict:7}", finding.check, finding.found))
        if finding.meaning:
            rows.append(("", "", finding.meaning))
    print("\n".join(columns(rows)))
    return ExitCode.FAILURE if broken else ExitCode.OK


def _python() -> Finding:
    found = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    if sys.implementation.name != "cpython":
        return Finding(
            "Python", "error", f"{sys.implementation.name} {found}", "vmmgr needs CPython"
        )
    return Finding("Python", "ok", found)


def _engine() -> Finding:
    """Load the engine as `up` would: what it refuses, this refuses."""
    from manager.cpu.unicorn import library

    try:
        library.load()
    except HostError as error:
        return Finding("Unicorn", "error", error.message, error.help or "")
    return Finding("Unicorn", "ok", f"2.1.4, laid out as expected: {library.find()}")


def _self_test() -> Finding:
    """Run six bytes of guest code and look at the registers and the clock."""
    try:
        found = _run_guest()
    except (VmmgrError, OSError, ImportError) as error:
        message = error.message if isinstance(error, VmmgrError) else str(error)
        return Finding("engine", "error", message, "no machine can run")
    if found != (SUM, len(CODE)):
        meaning = "the engine does not count instructions as it should; no machine can run"
        return Finding("engine", "error", f"self-test gave {found}", meaning)
    return Finding("engine", "ok", "self-test passed")


CODE = bytes((0xB8, 0x28, 0x00, 0x83, 0xC0, 0x02, 0xF4))
"""mov ax, 40; add ax, 2; hlt."""
SUM = 42


def _run_guest() -> tuple[int, int]:
    """What AX holds, and how many bytes of code were executed."""
    from manager.boot import modes
    from manager.bus.memory import Memory
    from manager.cpu.unicorn.engine import UnicornEngine

    memory = Memory.blank(1 << 20)
    engine = UnicornEngine("qemu64")
    cpu = engine.cpus[0]
    cpu.connect(_Nothing())
    for region in memory.regions:
        engine.map_ram(region.base, region.memory, 0, region.length)
    memory.write(0x8000, CODE)
    cpu.write_state(modes.real_mode(0x8000))
    engine.run(1_000_000)
    ticks, charged = engine.time
    return cpu.read_state().gpr[0] & 0xFFFF, ticks - charged


class _Nothing:
    """A platform without devices."""

    def read_port(self, port: int, size: int) -> int:
        return 0xFF

    def write_port(self, port: int, size: int, value: int) -> None:
        pass

    def acknowledge(self) -> int:
        return 0

    def read_cr8(self) -> int:
        return 0

    def write_cr8(self, value: int) -> None:
        pass

    def read_msr(self, number: int) -> int:
        return 0

    def write_msr(self, number: int, value: int) -> None:
        pass


def _userfaultfd() -> Finding:
    """Open one, as a snapshot would."""
    import ctypes

    number = {"x86_64": 323, "aarch64": 282}.get(os.uname().machine)
    user_mode_only = 1
    descriptor = -1
    if number is not None:
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = libc.syscall(number, os.O_CLOEXEC | user_mode_only)
    if descriptor < 0:
        meaning = "snapshots of a machine that runs on compare all of its RAM, which is slower"
        return Finding("userfaultfd", "warning", "not available", meaning)
    os.close(descriptor)
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    if release < (6, 7):
        meaning = "write tracking needs Linux 6.7; snapshots compare all of RAM instead"
        return Finding("userfaultfd", "warning", f"Linux {os.uname().release}", meaning)
    return Finding("userfaultfd", "ok", f"available, Linux {os.uname().release}")


def _descriptors() -> Finding:
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 256:
        meaning = "a machine with many clients may run out; raise it: ulimit -n 1024"
        return Finding("open files", "warning", f"at most {soft}", meaning)
    return Finding("open files", "ok", f"at most {soft}")


def _memory() -> Finding:
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY and soft < 2 << 30:
        meaning = "address space is limited (ulimit -v); machines may not get their RAM"
        return Finding("memory", "warning", f"{soft >> 20} MiB of address space", meaning)
    pages = {"MemAvailable": 0}
    with open("/proc/meminfo", encoding="ascii") as lines:  # noqa: PTH123  no need for a Path
        for line in lines:
            name, _, rest = line.partition(":")
            if name in pages:
                pages[name] = int(rest.split()[0])
    return Finding("memory", "ok", f"{pages['MemAvailable'] >> 10} MiB available")


def _terminal() -> Finding:

    if not (sys.stdin is not None and sys.stdin.isatty()):
        return Finding("terminal", "ok", "none: `up` in the foreground uses pipes")
    term = os.environ.get("TERM", "")
    if not term or term == "dumb":
        meaning = "the guest's colours and cursor movements may show as text"
        return Finding("terminal", "warning", term or "TERM is not set", meaning)
    return Finding("terminal", "ok", term)


def _ptys() -> Finding:

    try:
        ends = os.openpty()
    except OSError as error:
        return Finding("ptys", "error", str(error), "the pty backend cannot work")
    for end in ends:
        os.close(end)
    return Finding("ptys", "ok", "available")


def _state_directory() -> Finding:
    import shutil

    from manager.state.paths import state_home

    try:
        home = state_home()
    except VmmgrError as error:
        return Finding("state", "error", error.message, error.help or "")
    existing = next(path for path in (home, *home.parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        meaning = "machines cannot keep state there; set VMMGR_STATE_HOME"
        return Finding("state", "error", f"{existing} is not writable", meaning)
    free = shutil.disk_usage(existing).free
    if free < 1 << 30:
        meaning = "a suspend may find the disk full; the machine would run on"
        return Finding("state", "warning", f"{home}, {free >> 20} MiB free", meaning)
    return Finding("state", "ok", f"{home}, {free >> 30} GiB free")


def _sockets() -> Finding:
    from manager.state.paths import MachinePaths, runtime_fault

    try:
        paths = MachinePaths.of("doctor")
        was_there = paths.exists()
    except VmmgrError as error:
        return Finding("sockets", "error", error.message, error.help or "")
    try:
        path = paths.socket()
    except VmmgrError as error:
        return Finding("sockets", "error", error.message, error.help or "")
    finally:
        if not was_there:
            with suppress(OSError):  # it is not empty, or was not made
                paths.directory.rmdir()
    own = path.parent == paths.directory
    place = f"with each machine's state, in {path.parent.parent}" if own else str(path.parent)
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and (fault := runtime_fault(Path(runtime))):
        meaning = f"XDG_RUNTIME_DIR is passed over: {fault}"
        return Finding("sockets", "warning", place, meaning)
    return Finding("sockets", "ok", place)


def _sandbox() -> Finding:
    from manager.sandbox import layers

    found = layers.available()
    told = ", ".join(layers.shown(found))
    if all(layer.holds for layer in found):
        return Finding("sandbox", "ok", told)
    meaning = "the process that runs a guest cannot give up all that it does not need"
    return Finding("sandbox", "warning", told, meaning)


CHECKS: tuple[Callable[[], Finding], ...] = (
    _python, _engine, _self_test, _userfaultfd, _descriptors, _memory, _terminal, _ptys,
    _state_directory, _sockets, _sandbox,
)  # fmt: skip
