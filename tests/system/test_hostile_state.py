# SPDX-License-Identifier: BSD-2-Clause
"""The state directory's files, each replaced by what no file of vmmgr's is: nothing hangs or fails
with anything but one clear error, and the machine can be removed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.vmmgr import ROOT, Vmmgr

from manager.cli.main import main

HELLO = str(ROOT / "machines/hello.toml")
HUGE = 256 << 30


def fifo(path: Path) -> None:
    os.mkfifo(path)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def directory(path: Path) -> None:
    path.mkdir()


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(HUGE)


def deep(path: Path) -> None:
    path.write_bytes(b"[" * 900_000)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as there, tempfile.TemporaryDirectory() as short:
        there.bind(f"{short}/s")
        Path(short, "s").rename(path)


KINDS: tuple[Callable[[Path], None], ...] = (
    fifo, loop, endless, directory, sparse, deep, listening,
)  # fmt: skip
ASKING = (
    "ls", "ls --json", "status hello", f"status {HELLO}", "logs hello", f"plan {HELLO}",
    "snapshot ls", "snapshot tree", "snapshot show hello", "snapshot verify hello",
    f"diff hello {HELLO}", "replay hello --until 1ms", "snapshot gc", "prune --dry-run", "doctor",
    "snapshot export hello:save-1 OUT", "discard --yes hello", "rm --force hello",
)  # fmt: skip


class Hung(BaseException):
    """What vmmgr's own handlers do not catch."""


@contextmanager
def within(seconds: int) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """The state directory of a machine that is suspended, and has a snapshot."""
    with tempfile.TemporaryDirectory(prefix="vmmgr-") as folder:
        command = Vmmgr(Path(folder))
        try:
            command("up", HELLO, "-d")
            command("snapshot", "save", "hello")
            command("suspend", "hello")
        finally:
            command.any("down", "--all")
        yield command.home / "state"


def places(template: Path) -> list[Path]:
    """All files, links and directories in it."""
    return [path.relative_to(template) for path in sorted(template.rglob("*"))]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_no_command_hangs_or_breaks(
    kind: Callable[[Path], None],
    template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    home = tmp_path / "state"
    monkeypatch.setenv("VMMGR_STATE_HOME", str(home))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for place in places(template):
        shutil.copytree(template, home, symlinks=True, copy_function=os.link)
        victim = home / place
        shutil.rmtree(victim) if stat.S_ISDIR(victim.lstat().st_mode) else victim.unlink()
        kind(victim)
        for line in ASKING:
            try:
                with within(20):
                    status = main(line.replace("OUT", f"{tmp_path}/out.tar").split())
            except SystemExit as error:
                status = int(error.code or 0)
            except Hung:
                pytest.fail(f"{place} as {kind.__name__}: `{line}` hangs")
            said = capfd.readouterr().err
            assert "internal error" not in said, (place, line, said)
            assert status == 0 or "error: " in said or line.startswith("doctor"), (place, line)
            (tmp_path / "out.tar").unlink(missing_ok=True)
        shutil.rmtree(home)
