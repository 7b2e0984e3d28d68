# SPDX-License-Identifier: BSD-2-Clause
"""What the host does not take is told of: by run's exit code, in the status, as an event."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from pathlib import Path

import pytest
from support.assembler import assemble
from support.vmmgr import COMMAND, ROOT, Vmmgr

FULL = "/dev/full"
NO_SPACE = "No space left on device"
TALKER = """
        mov     dx, 0x2f8               # a word on COM2
        mov     al, 'x'
        out     dx, al
        mov     dx, 0x3f8
        mov     si, offset text
next:   lodsb
        out     dx, al
        test    al, al
        jnz     next
        mov     dx, 0xf4
        mov     al, 0x10
        out     dx, al
        hlt
text:   .asciz  "Hello\\n"
"""
PC = """
schema = 1
[memory]
size = "1M"
[boot]
image = "guest.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[slots.31]
device = "lpc"
[slots.0]
device = "hostbridge"
[lpc.com1]
[lpc.com2]
[lpc.debug-exit]
"""


@pytest.fixture
def talker(tmp_path: Path) -> Path:
    """A machine that says something on two ports and ends with status 33."""
    (tmp_path / "guest.bin").write_bytes(assemble(TALKER, 0x7C00, 16))
    file = tmp_path / "talker.toml"
    file.write_text(PC)
    return file


def run_to(vmmgr: Vmmgr, output: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`vmmgr run` with its standard output in a file."""
    with Path(output).open("w") as stdout:
        return subprocess.run(
            [*COMMAND, "run", *map(str, arguments)],
            env=vmmgr.env,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )


def test_what_is_kept_changes_no_exit_code(vmmgr: Vmmgr, talker: Path) -> None:
    assert run_to(vmmgr, os.devnull, talker).returncode == 33
    assert run_to(vmmgr, os.devnull, "machines/hello.toml", "--until", "Hello").returncode == 0


def test_run_says_that_standard_output_is_full(vmmgr: Vmmgr, talker: Path) -> None:
    result = run_to(vmmgr, FULL, talker)

    assert result.returncode == 1
    assert f"output is lost: standard output (lpc.com1): {NO_SPACE}" in result.stderr


def test_a_match_on_a_full_disk_is_no_success(vmmgr: Vmmgr) -> None:
    result = run_to(vmmgr, FULL, "machines/hello.toml", "--until", "Hello")

    assert result.returncode == 1


def test_a_failure_of_the_guest_stands(vmmgr: Vmmgr, talker: Path) -> None:
    result = run_to(vmmgr, FULL, talker, "--fail-on", "Hello")

    assert result.returncode == 8
    assert NO_SPACE in result.stderr


def test_run_says_that_a_file_is_full(vmmgr: Vmmgr, talker: Path) -> None:
    file = "lpc.com2.backend={type='file',path='/dev/full'}"

    result = vmmgr("run", talker, "--set", file, status=1)

    assert f"output is lost: file /dev/full (lpc.com2): {NO_SPACE}" in result.stderr
    assert result.stdout.startswith("Hello")


def test_run_says_that_the_trace_is_full(vmmgr: Vmmgr, talker: Path) -> None:
    trace = ("--set", "debug.trace=['ports']", "--set", f"debug.trace-file={FULL}")

    result = vmmgr("run", talker, *trace, status=1)

    assert f"output is lost: the trace: {NO_SPACE}" in result.stderr


def test_run_says_that_its_reader_went(vmmgr: Vmmgr, talker: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    result = subprocess.run(
        [*COMMAND, "run", str(talker)],
        env=vmmgr.env,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    os.close(writer)

    assert result.returncode == 1


@pytest.mark.parametrize(
    "verb", ["ls", "ls --json", "status hello", "logs hello", "plan machines/hello.toml", "schema"]
)
def test_a_command_says_that_its_output_is_full(vmmgr: Vmmgr, verb: str) -> None:
    vmmgr("up", "machines/hello.toml", "-d")
    with Path(FULL).open("w") as stdout:
        result = subprocess.run(
            [*COMMAND, *verb.split()],
            env=vmmgr.env,
            cwd=ROOT,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )

    assert result.returncode == 1
    assert NO_SPACE in result.stderr
    assert "Traceback" not in result.stderr


def small_files(size: int) -> None:
    """Let no file of this process get larger: writing beyond that is an error."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_machine_goes_on_and_its_status_and_events_tell(vmmgr: Vmmgr, tmp_path: Path) -> None:
    copy = tmp_path / "out.txt"
    backend = f"lpc.com1.backend={{type='file',path='{copy}'}}"
    subprocess.run(
        [*COMMAND, "up", "machines/hello.toml", "-d", "--set", backend],
        env={**vmmgr.env, "VMMGR_LOG_SIZE": str(1 << 30)},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        check=True,
        timeout=60,
        preexec_fn=lambda: small_files(16 << 10),
    )
    events = subprocess.Popen(
        [*COMMAND, "events", "hello", "--json"],
        env=vmmgr.env,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    failed: dict[str, dict[str, str]] = {}
    while not {"backend", "log", "recording"} <= set(failed):
        vmmgr("send", "hello", r"h\r" * 50)
        status = json.loads(vmmgr("status", "hello", "--json").stdout)
        failed = {sink["sink"]: sink for sink in status["failed_sinks"]}

    shown = vmmgr("status", "hello").stdout
    vmmgr("down", "hello")
    told = [json.loads(line) for line in events.communicate()[0].splitlines()]

    assert status["state"] == "running"
    assert failed["log"]["reason"] == failed["backend"]["reason"] == "File too large"
    assert f"output of file {copy} (lpc.com1): File too large" in shown
    assert "output of the log of lpc.com1: File too large" in shown
    assert {event["data"]["sink"] for event in told if event["event"] == "sink-failed"} >= {
        "backend",
        "log",
        "recording",
    }
