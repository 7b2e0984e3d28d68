# SPDX-License-Identifier: BSD-2-Clause
"""Machines without a terminal: signals, and the systemd units that send them."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from support.needs import needs
from support.vmmgr import COMMAND, ROOT, Vmmgr

HELLO = "machines/hello.toml"
UNITS = sorted((ROOT / "docs" / "systemd").glob("*.service"))


def service(vmmgr: Vmmgr, *options: str) -> subprocess.Popen[str]:
    """`vmmgr up` as a service runs it, once its guest has said something."""
    process = subprocess.Popen(
        [*COMMAND, "up", HELLO, *options],
        env=vmmgr.env,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "Hello" in process.stdout.readline()
    return process


@pytest.mark.parametrize(
    ("options", "state"), [((), "stopped"), (("--on-term", "suspend"), "suspended")]
)
def test_sigterm_does_what_was_configured(vmmgr: Vmmgr, options, state) -> None:
    with service(vmmgr, *options) as process:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)

        assert process.returncode == 0
    vmmgr("wait", "hello", state, "--timeout", "5s")


def test_sigint_once_warns_and_twice_ends(vmmgr: Vmmgr) -> None:
    with service(vmmgr) as process:
        assert process.stderr is not None
        process.send_signal(signal.SIGINT)
        assert "interrupt once more" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)

        assert process.returncode == 130


def test_ctl_stop_is_sigterm(vmmgr: Vmmgr) -> None:
    vmmgr("up", HELLO, "-d", "--on-term", "suspend")

    vmmgr("ctl", "hello", "stop")

    vmmgr("wait", "hello", "suspended", "--timeout", "5s")


@needs("systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units_are_valid(unit, tmp_path) -> None:
    name = unit.name.replace("@.", "@hello.")
    (tmp_path / name).write_text(unit.read_text())

    result = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", tmp_path / name],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        check=False,
    )

    complaints = [line for line in result.stderr.splitlines() if name in line]
    assert complaints == []
    assert UNITS
