# SPDX-License-Identifier: BSD-2-Clause
"""A temporary folder is gone, whatever ended the process that made it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from manager import scratch

OBEYED = "signal.signal(signal.SIGHUP, signal.SIG_DFL)"
"""A session without a terminal may have it ignored."""
WAITS = """
import signal, sys
from pathlib import Path
from manager import scratch
{before}
with scratch.folder("outer-") as outer:
    with scratch.folder("inner-") as inner:
        (outer / "file").write_text("content")
        (inner / "file").write_text("content")
        print("ready", flush=True)
        {wait}
print("over", flush=True)
"""


def started(
    tmp_path: Path, before: str = OBEYED, wait: str = "signal.pause()"
) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS.format(before=before, wait=wait)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert len(list(tmp_path.iterdir())) == 2
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_process_and_leaves_nothing(tmp_path, number: signal.Signals) -> None:
    process = started(tmp_path)

    process.send_signal(number)

    said, _ = process.communicate(timeout=60)
    assert process.returncode == -number
    assert said == ""
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_is_ignored_stays_so(tmp_path) -> None:
    ignored = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    process = started(tmp_path, ignored, "sys.stdin.read()")

    process.send_signal(signal.SIGHUP)

    said, _ = process.communicate("", timeout=60)
    assert (process.returncode, said) == (0, "over\n")
    assert list(tmp_path.iterdir()) == []


def test_signals_are_as_before_afterwards(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = signal.getsignal(signal.SIGTERM)

    with pytest.raises(ValueError, match="its own"), scratch.folder("x-"):
        raise ValueError("its own")

    assert signal.getsignal(signal.SIGTERM) is before
    assert list(tmp_path.iterdir()) == []
