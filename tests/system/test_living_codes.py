# SPDX-License-Identifier: BSD-2-Clause
"""Each exit code of docs/exit-codes.md, produced by real commands with a real guest."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.vmmgr import COMMAND, ROOT, Vmmgr

from manager.errors import ExitCode

HELLO = "machines/hello.toml"
TRIPLE_FAULT = bytes.fromhex("0f011e107c ccebfe 909090909090 0000000000000000".replace(" ", ""))
"""lidt [0x7c10], whose limit is 0; int3."""


def variant(folder: Path, old: str = "", new: str = "") -> Path:
    """hello.toml, with one change."""
    text = (ROOT / HELLO).read_text().replace("hello/hello.bin", f"{ROOT}/machines/hello/hello.bin")
    assert old in text
    file = folder / "hello.toml"
    file.write_text(text.replace(old, new))
    return file


def suspended(vmmgr: Vmmgr) -> Path:
    vmmgr("up", HELLO, "-d")
    vmmgr("suspend", "hello")
    return vmmgr.home / "state" / "hello" / "snapshots" / "current"


def ok(vmmgr: Vmmgr, folder: Path) -> None:
    vmmgr("up", HELLO, "-d")
    assert "already running" in vmmgr("up", HELLO, "-d", status=0).stderr


def failure(vmmgr: Vmmgr, folder: Path) -> None:
    file = variant(folder, '"pty"', '{ type = "file", path = "nowhere/x" }')
    assert "help" in vmmgr("up", file, "-d", status=1).stderr


def usage(vmmgr: Vmmgr, folder: Path) -> None:
    assert "sise" in vmmgr("up", variant(folder, "size", "sise"), "-d", status=2).stderr


def no_such_machine(vmmgr: Vmmgr, folder: Path) -> None:
    assert "no machine 'nosuch'" in vmmgr("status", "nosuch", status=3).stderr


def wrong_state(vmmgr: Vmmgr, folder: Path) -> None:
    suspended(vmmgr)
    assert "not running" in vmmgr("suspend", "hello", status=4).stderr


def snapshot_mismatch(vmmgr: Vmmgr, folder: Path) -> None:
    vmmgr("up", variant(folder), "-d")
    vmmgr("suspend", "hello")
    file = variant(folder, "[slots.4]", "[slots.5]")
    assert "moved to slots.5" in vmmgr("resume", file, status=5).stderr


def guest_fault(vmmgr: Vmmgr, folder: Path) -> None:
    (folder / "fault.bin").write_bytes(TRIPLE_FAULT)
    file = variant(folder, f"{ROOT}/machines/hello/hello.bin", "fault.bin")
    assert "triple fault" in vmmgr("run", file, "--max-time", "1s", status=6).stderr


def snapshot_corrupt(vmmgr: Vmmgr, folder: Path) -> None:
    for part in suspended(vmmgr).iterdir():
        part.chmod(0o600)
        part.write_bytes(b"rubbish")
    vmmgr("resume", "hello", "-d", status=7)


def fail_on_matched(vmmgr: Vmmgr, folder: Path) -> None:
    options = ("--until", "never", "--fail-on", "Hello")
    assert "Hello from vmmgr" in vmmgr("run", HELLO, *options, status=8).stderr


def time_budget(vmmgr: Vmmgr, folder: Path) -> None:
    options = ("--until", "never", "--max-time", "2s")
    assert "waiting for 'never'" in vmmgr("run", HELLO, *options, status=124).stderr
    last = vmmgr("up", HELLO, "-d", "--wait-for", "never", "--timeout", "500ms", status=124)
    assert "  | Hello from vmmgr" in last.stderr


def interrupted(vmmgr: Vmmgr, folder: Path) -> None:
    command = [*COMMAND, "run", HELLO, "--paced"]
    with subprocess.Popen(
        command, env=vmmgr.env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as run:
        assert run.stdout is not None
        run.stdout.readline()
        run.send_signal(signal.SIGINT)
        run.stdout.read()
        assert run.wait(10) == 130


PRODUCERS: dict[ExitCode, Callable[[Vmmgr, Path], None]] = {
    ExitCode.OK: ok,
    ExitCode.FAILURE: failure,
    ExitCode.USAGE: usage,
    ExitCode.NO_SUCH_MACHINE: no_such_machine,
    ExitCode.WRONG_STATE: wrong_state,
    ExitCode.SNAPSHOT_MISMATCH: snapshot_mismatch,
    ExitCode.GUEST_FAULT: guest_fault,
    ExitCode.SNAPSHOT_CORRUPT: snapshot_corrupt,
    ExitCode.FAIL_ON_MATCHED: fail_on_matched,
    ExitCode.TIME_BUDGET: time_budget,
    ExitCode.INTERRUPTED: interrupted,
}


@pytest.mark.parametrize("code", ExitCode, ids=lambda code: code.name.lower())
def test_every_exit_code_can_be_had(vmmgr: Vmmgr, tmp_path: Path, code: ExitCode) -> None:
    PRODUCERS[code](vmmgr, tmp_path)
