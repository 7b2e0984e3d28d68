# SPDX-License-Identifier: BSD-2-Clause
"""`up` and `console` on real terminals with a real guest, and what a kill leaves behind."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import termios
import time

import pexpect
import pytest
from support.vmmgr import Vmmgr

HELLO = "machines/hello.toml"


def cooked(console: pexpect.spawn) -> bool:
    wanted = termios.ICANON | termios.ECHO
    return termios.tcgetattr(console.child_fd)[3] & wanted == wanted


def owner(vmmgr: Vmmgr) -> int:
    return int(json.loads(vmmgr("status", "hello", "--json").stdout)["pid"])


def test_up_detach_console_suspend_resume(vmmgr: Vmmgr) -> None:
    console = vmmgr.terminal("up", HELLO, timeout=20)
    console.expect_exact("Ctrl-] detaches, Enter ~? lists more")
    console.expect_exact("> ")
    console.send("u\r")
    console.expect(r"\d+ ticks")
    console.send("\x1d")
    console.expect_exact("detached; hello runs on")
    console.wait()
    assert console.exitstatus == 0

    console = vmmgr.terminal("console", "hello", timeout=20)
    console.expect_exact("Hello from vmmgr")  # replayed
    console.send("\r~s")
    console.expect_exact("resume it with `vmmgr resume hello`")
    console.wait()
    assert console.exitstatus == 0
    assert cooked(console)

    console = vmmgr.terminal("resume", "hello", timeout=20)
    console.expect_exact("Hello from vmmgr")  # from the log of the process before
    console.send("u\r")
    console.expect(r"\d+ ticks")
    console.send("q\r")
    console.expect_exact("Halted.")
    console.expect_exact("hello ended")
    console.wait()
    assert console.exitstatus == 0


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_machine_under_a_console(vmmgr: Vmmgr, seed: int) -> None:
    vmmgr("up", HELLO, "-d")
    pid = owner(vmmgr)
    console = vmmgr.terminal("console", "hello", timeout=20)
    console.expect_exact("> ")
    console.delaybeforesend = None
    for _ in range(random.Random(seed).randrange(1, 30)):
        console.send("u\r")
    console.expect("ticks")
    time.sleep(random.Random(seed).random() / 5)

    os.kill(pid, signal.SIGKILL)

    console.expect_exact("hello crashed: its process is gone")
    console.wait()
    assert console.exitstatus == 1
    assert cooked(console)
    status = vmmgr("status", "hello").stdout
    assert "crashed" in status
    assert re.search(r"last lines:\n(  \| .*\n)*  \| up .* ticks", status)


def test_sigterm_to_a_foreground_up_suspends_when_told_so(vmmgr: Vmmgr) -> None:
    console = vmmgr.terminal("up", HELLO, "--on-term", "suspend", timeout=20)
    console.expect_exact("> ")

    console.kill(signal.SIGTERM)

    console.expect_exact("hello suspended to")
    console.wait()
    assert console.exitstatus == 0
    assert cooked(console)


def test_sigint_twice_ends_a_foreground_up(vmmgr: Vmmgr) -> None:
    console = vmmgr.terminal("up", HELLO, timeout=20)
    console.expect_exact("> ")

    console.kill(signal.SIGINT)
    console.expect_exact("interrupt once more")
    console.kill(signal.SIGINT)

    console.expect_exact("hello powered off")
    console.wait()


def test_a_terminals_size_may_change(vmmgr: Vmmgr) -> None:
    console = vmmgr.terminal("up", HELLO, timeout=20)
    console.expect_exact("> ")
    for rows in range(10, 30):
        console.setwinsize(rows, 2 * rows)
    console.send("u\r")
    console.expect(r"\d+ ticks")
    console.send("q\r")
    console.expect_exact("Halted.")
    console.wait()
    assert console.exitstatus == 0


def test_logs_follow_to_the_end(vmmgr: Vmmgr) -> None:
    vmmgr("up", HELLO, "-d")
    logs = vmmgr.terminal("logs", "hello", "-f", timeout=20)
    logs.expect_exact("Hello from vmmgr")
    vmmgr("send", "hello", r"q\r")
    logs.expect_exact("Halted.")
    logs.expect(pexpect.EOF)
    logs.wait()
    assert logs.exitstatus == 0
    assert vmmgr("logs", "hello", "-n", "1").stdout.count("\n") <= 1
