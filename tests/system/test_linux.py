# SPDX-License-Identifier: BSD-2-Clause
"""Debian's own kernel, unmodified, to a shell and back."""

from __future__ import annotations

import hashlib
import re
import subprocess

import pytest
from support.linux import IMAGES
from support.vmmgr import Vmmgr

pytestmark = pytest.mark.usefixtures("linux")

LINUX = "machines/linux.toml"
PROMPT = "/ # "


def busybox_sha256() -> str:
    """The digest of /bin/busybox in the initramfs, taken on the host's side."""
    cpio = subprocess.run(["zcat", IMAGES / "initrd.img"], capture_output=True, check=True).stdout
    start = cpio.index(b"\x7fELF")
    header = cpio.rindex(b"070701", 0, start)
    size = int(cpio[header + 54 : header + 62], 16)
    return hashlib.sha256(cpio[start : start + size]).hexdigest()


def test_shell_on_ttys0_runs_commands(vmmgr: Vmmgr) -> None:
    console = vmmgr.terminal("up", LINUX)

    console.expect_exact(PROMPT)
    console.send("grep ttyS0 /proc/interrupts\r")
    console.expect(r"4:\s+(\d+)\s.*ttyS0")
    interrupts = int(console.match[1])
    console.send("sha256sum /bin/busybox\r")
    console.expect(r"([0-9a-f]{64})\s+/bin/busybox")
    digest = console.match[1]
    console.send("exit\r")
    console.expect_exact("reboot: Power down")
    console.wait()

    assert interrupts > 0
    assert digest == busybox_sha256()
    assert console.exitstatus == 0


def test_run_in_a_pipe_ends_with_the_last_pattern(vmmgr: Vmmgr) -> None:
    result = vmmgr("run", LINUX, "--until", "# $", "--send", r"echo $((6*7))\n", "--until", "^42")

    assert re.search(r"^42\r?$", result.stdout, re.MULTILINE)
    assert "x86/PAT: Configuration [0-7]: WB  WC  UC- UC  WB  WP  UC- WT" in result.stdout
    assert "MTRR" not in result.stdout  # Linux takes those that firmware left off for broken


def test_suspended_shell_goes_on_with_half_a_line_and_a_loop(vmmgr: Vmmgr) -> None:
    vmmgr("up", LINUX, "-d", "--wait-for", f"{PROMPT}$")
    vmmgr("send", "linux", r"i=0; while :; do i=$((i+1)); echo count $i; sleep 1; done &\n")
    vmmgr("send", "linux", "echo half a ")
    vmmgr("suspend", "linux")
    before = vmmgr("logs", "linux").stdout

    vmmgr("resume", "linux", "-d")
    vmmgr("send", "linux", r"line\n")
    vmmgr("send", "linux", r"sleep 2; kill %1; poweroff -f\n")
    vmmgr("wait", "linux", "stopped", timeout=60)
    log = vmmgr("logs", "linux").stdout

    assert "half a line" in log[len(before) - 200 :].replace("\x1b[6n", "")
    counts = [int(n) for n in re.findall(r"count (\d+)", log)]
    assert counts == list(range(1, len(counts) + 1))
    assert len(counts) >= 2


def test_missing_kernel_names_the_script_that_fetches_it(vmmgr: Vmmgr, tmp_path) -> None:
    copy = tmp_path / "linux.toml"
    copy.write_text((IMAGES.parent / "linux.toml").read_text())

    result = vmmgr("up", copy, status=2)

    assert "linux/vmlinuz" in result.stderr
    assert "examples/linux/fetch.sh" in result.stderr
