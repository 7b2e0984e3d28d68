# SPDX-License-Identifier: BSD-2-Clause
"""What another user has put in a machine's way: directories, sockets and who answers there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.needs import impossible
from support.vmmgr import Vmmgr

HELLO = "machines/hello.toml"
NOBODY = 65534
ASKING = (
    "send hello secret", "status hello", "wait hello ready", f"up {HELLO} -d", "down hello",
    f"diff hello {HELLO}", "suspend hello", "events hello",
)  # fmt: skip
IMPOSTOR = """
import os, socket, sys
os.setgid(65534)
os.setuid(65534)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("ready", flush=True)
connection, _ = listener.accept()
print("accepted", flush=True)
try:
    connection.sendall(b'{"vmmgr": {"version": "1", "protocol": 1, "machine": "hello"}}\\n')
    print(connection.recv(9999), flush=True)
except ConnectionError:
    print(b"", flush=True)
"""


@pytest.fixture(autouse=True)
def only_root() -> None:
    if os.geteuid() != 0:
        impossible("only root can act as another user")


@pytest.fixture
def their_runtime(vmmgr: Vmmgr) -> Path:
    """A runtime directory of another user's, left in the environment as `su` leaves it."""
    runtime = Path(vmmgr.env["XDG_RUNTIME_DIR"])
    os.chown(runtime, NOBODY, NOBODY)
    vmmgr.home.chmod(0o711)
    return runtime


@pytest.fixture
def impostor(their_runtime: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A process of another user's that speaks the control protocol."""
    path = their_runtime / "hello.sock"
    with subprocess.Popen(
        [sys.executable, "-c", IMPOSTOR, path], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield path, process
        process.kill()


def record(vmmgr: Vmmgr) -> Path:
    return vmmgr.home / "state" / "hello" / "machine.json"


def test_another_users_runtime_directory_is_passed_over(vmmgr: Vmmgr, their_runtime: Path) -> None:
    vmmgr("up", HELLO, "-d")

    assert vmmgr("status", "hello").returncode == 0
    assert json.loads(record(vmmgr).read_text())["socket"] == str(
        record(vmmgr).parent / "control.sock"
    )
    assert list(their_runtime.iterdir()) == []
    assert "belongs to nobody (65534)" in vmmgr("doctor").stdout


def test_an_impostor_hears_nothing(
    vmmgr: Vmmgr, impostor: tuple[Path, subprocess.Popen[str]]
) -> None:
    path, process = impostor
    vmmgr("up", HELLO, "-d")
    right = record(vmmgr).read_text()
    record(vmmgr).write_text(json.dumps(json.loads(right) | {"socket": str(path)}))

    for line in ASKING:
        said = vmmgr(*line.split(), status=1).stderr
        assert f"{path}: this is not a machine of root (0)" in said
        assert "belongs to nobody (65534)" in said

    record(vmmgr).write_text(right)
    assert process.poll() is None
    process.terminate()
    assert process.stdout is not None
    assert "b'" not in process.stdout.read()


def test_an_impostor_in_a_directory_of_ours_hears_nothing(
    vmmgr: Vmmgr, impostor: tuple[Path, subprocess.Popen[str]]
) -> None:
    path, process = impostor
    vmmgr("up", HELLO, "-d")
    right = record(vmmgr).read_text()
    ours = path.parent.parent / "ours.sock"
    path.rename(ours)
    os.chown(ours, 0, 0)
    record(vmmgr).write_text(json.dumps(json.loads(right) | {"socket": str(ours)}))

    said = vmmgr("send", "hello", "secret", status=1).stderr

    assert f"process {process.pid} there is of nobody (65534)" in said
    record(vmmgr).write_text(right)
    assert process.wait(10) == 0
    assert process.stdout is not None
    assert process.stdout.read() == "accepted\nb''\n"


def test_another_user_is_turned_away(vmmgr: Vmmgr, their_runtime: Path) -> None:
    vmmgr("up", HELLO, "-d")
    path = Path(json.loads(record(vmmgr).read_text())["socket"])
    for folder in (path, path.parent, path.parent.parent, vmmgr.home):
        folder.chmod(0o777)
    client = (
        "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); "
        "s.connect(sys.argv[1]); print(s.recv(999))"
    )

    heard = subprocess.run(
        [sys.executable, "-c", client, path], capture_output=True, text=True, check=True
    )

    path.parent.chmod(0o700)
    assert heard.stdout == "b''\n"


@pytest.mark.parametrize("fault", ["owner", "mode"])
def test_a_machines_directory_that_is_not_ours_is_refused(fault: str, vmmgr: Vmmgr) -> None:
    directory = record(vmmgr).parent
    directory.mkdir(parents=True)
    if fault == "owner":
        os.chown(directory, NOBODY, NOBODY)
    else:
        directory.chmod(0o777)

    said = vmmgr("up", HELLO, "-d", status=1).stderr

    assert f"{directory} " in said
    assert {"owner": "belongs to nobody", "mode": "every user"}[fault] in said
    assert "VMMGR_STATE_HOME" in said
