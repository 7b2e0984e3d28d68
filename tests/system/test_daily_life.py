# SPDX-License-Identifier: BSD-2-Clause
"""Real machines, as people start, find, change and remove them from day to day."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.vmmgr import COMMAND, ROOT, Vmmgr

HELLO = "machines/hello.toml"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A hello machine whose files a test may change."""
    shutil.copy(ROOT / HELLO, tmp_path)
    shutil.copytree(ROOT / "machines" / "hello", tmp_path / "hello")
    return tmp_path / "hello.toml"


def pid(vmmgr: Vmmgr) -> int:
    return int(json.loads(vmmgr("status", "hello", "--json").stdout)["pid"])


def test_several_ups_of_one_file_at_once_all_succeed(vmmgr: Vmmgr) -> None:
    started = [
        subprocess.Popen(
            [*COMMAND, "up", "-d", HELLO], env=vmmgr.env, cwd=ROOT, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]  # fmt: skip

    told = [process.communicate(timeout=60)[1] for process in started]

    assert [process.returncode for process in started] == [0] * 4, told
    assert sum("hello is up and is ready" in text for text in told) == 1
    assert sum("already running" in text for text in told) == 3
    assert all("is ready" in text for text in told)


def test_a_machine_from_its_first_start_to_its_removal(vmmgr: Vmmgr) -> None:
    vmmgr("up", "-d", HELLO)
    first = pid(vmmgr)
    listed = vmmgr("ls").stdout.splitlines()[1].split()
    assert listed[:3] == ["hello", "running", "yes"]

    vmmgr("restart", "-d", "hello")
    assert pid(vmmgr) != first

    vmmgr("rm", "--force", "hello", status=4)
    vmmgr("down", "hello")
    vmmgr("up", "-d", "hello")
    vmmgr("down", "hello")
    assert "hello" in vmmgr("prune", "--dry-run").stdout
    vmmgr("rm", "--force", "hello")
    vmmgr("status", "hello", status=3)


def test_what_is_watched_for_the_status_does_not_bar_a_rewind(vmmgr: Vmmgr) -> None:
    console = vmmgr.terminal("up", HELLO, "--set", "ready.wait-for=never", timeout=20)
    console.expect_exact("> ")
    console.send("u\r")
    console.expect(r"\d+ ticks")
    assert json.loads(vmmgr("status", "hello", "--json").stdout)["waits_for"] == "never"

    vmmgr("rewind", "hello", "1ms")

    assert json.loads(vmmgr("status", "hello", "--json").stdout)["waits_for"] is None
    console.send("\x1d")
    console.wait()


def test_a_changed_guest_is_booted_anew_and_a_broken_one_is_told_of(
    vmmgr: Vmmgr, own: Path
) -> None:
    image = own.parent / "hello" / "hello.bin"
    console = vmmgr.terminal("up", own, "--watch", timeout=20)
    console.expect_exact("Hello from vmmgr")
    made = image.read_bytes().replace(b"Hello from", b"Salut from")

    image.with_name("new").write_bytes(made)
    image.with_name("new").replace(image)
    console.expect_exact("booting it anew")
    console.expect_exact("Salut from vmmgr")
    console.expect_exact("> ")

    image.with_name("new").write_bytes(b"\xf4" * (32 << 20))  # larger than its RAM
    os.replace(image.with_name("new"), image)  # noqa: PTH105
    console.expect_exact("waiting for a change")

    image.with_name("new").write_bytes(made)
    image.with_name("new").replace(image)
    console.expect_exact("Salut from vmmgr")
    console.expect_exact("> ")
    console.send("\x1d")
    console.expect_exact("detached; hello runs on")
    console.wait()
    assert console.exitstatus == 0
