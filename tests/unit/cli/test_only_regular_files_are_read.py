# SPDX-License-Identifier: BSD-2-Clause
"""A file that the user names is read only when it is regular and of a sane size.

A FIFO in its place hangs nothing, a device or a file of 256 GiB takes neither time nor memory
without end: there is one error that names the file and tells what it is.
"""

from __future__ import annotations

import itertools
import os
import resource
import shlex
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from manager.backends.file import FileBackend
from manager.cli.main import main
from manager.client.outgoing import Outgoing
from manager.errors import HostError

PC = """
schema = 1
slots.0.device = "hostbridge"
slots.31.device = "lpc"
lpc.com1.backend = "null"
"""
FLAT = PC + 'boot = { image = "guest.bin", load = 0x7c00, entry = 0x7c00, bits = 16 }\n'
PLACES = {
    "machine file": 'name = "unread"',
    "extends": f'extends = "odd"\n{FLAT}',
    "kernel": f'{PC}boot.kernel = "odd"\n',
    "initrd": f'{PC}boot = {{ kernel = "guest.bin", initrd = "odd" }}\n',
    "modules": f'{PC}boot = {{ kernel = "guest.bin", modules = ["odd a b"] }}\n',
    "firmware": f'{PC}boot.firmware = "odd"\n',
    "image": FLAT.replace("guest.bin", "odd"),
    "disk": f'{FLAT}disks.root.image = "odd"\n',
    "device": f'{FLAT}slots.3.device = "./odd.py:Card"\n',
}
KINDS = ["FIFO", "device", "socket", "directory", "endless", "link to a FIFO", "link to itself"]
TIME = 30
"""Seconds after which a read counts as one without end."""


def make(path: Path, kind: str) -> str:
    """A file of that kind; returns what an error is to say of it."""
    match kind:
        case "FIFO":
            os.mkfifo(path)
        case "link to a FIFO":
            os.mkfifo(path.with_name("fifo"))
            path.symlink_to("fifo")
            return "a FIFO, not a regular file"
        case "link to itself":
            path.symlink_to(path.name)
            return "Too many levels of symbolic links"
        case "device":
            path.symlink_to("/dev/zero")
        case "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(os.path.relpath(path))
        case "directory":
            path.mkdir()
        case _:
            with path.open("wb") as file:
                file.truncate(1 << 38)
            return "larger than"
    return f"is a {kind}, not a regular file"


def without_end(*_: object) -> None:
    raise RuntimeError("it is read without end")


@pytest.fixture(autouse=True)
def bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In a folder of its own, with a limit of time and of memory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VMMGR_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "guest.bin").write_bytes(b"\xfa\xf4")
    _, most = before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (16 << 30, most))
    handler = signal.signal(signal.SIGALRM, without_end)
    signal.alarm(TIME)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, handler)
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize(
    ("place", "kind"),
    [item for item in itertools.product(PLACES, KINDS) if item != ("disk", "endless")],
)
def test_no_other_file_is_read(
    place: str, kind: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    odd = tmp_path / ("odd.py" if place == "device" else "odd")
    said = make(odd, kind)
    machine = odd
    if place != "machine file":
        machine = tmp_path / "machine.toml"
        machine.write_text(PLACES[place])

    status = main(["run", str(machine), "--max-time", "1ms"])

    captured = capfd.readouterr()
    assert status == 2, captured.err
    assert said in captured.err
    assert "odd" in captured.err
    assert "internal error" not in captured.err


@pytest.mark.parametrize("kind", ["FIFO", "socket", "directory"])
def test_nothing_is_appended_to_what_waits_for_a_reader(kind: str, tmp_path: Path) -> None:
    make(tmp_path / "odd", kind)
    with pytest.raises(HostError, match="odd: "):
        FileBackend(tmp_path / "odd")


def test_a_device_may_take_the_output() -> None:
    backend = FileBackend(Path("/dev/null"))
    backend.write(b"text")
    backend.close()
    assert (backend.dropped, backend.fault) == (0, "")


@pytest.mark.parametrize("kind", KINDS[:4])
def test_a_console_sends_no_other_file(kind: str, tmp_path: Path) -> None:
    said = make(tmp_path / "odd", kind)
    heard: list[str] = []
    outgoing = Outgoing(lambda _: True, heard.append)
    outgoing.send_file(str(tmp_path / "odd"))
    outgoing.send_file("~no-such-user-here/file")
    assert said in heard[0]
    assert "no such user" in heard[1]
    assert outgoing.is_empty


@pytest.mark.parametrize("kind", KINDS[:5])
@pytest.mark.parametrize(
    "command",
    [
        "import bhyve-config odd",
        "import bhyve '-k odd'",
        "validate --locked machine.toml",
        "plan --lock machine.toml",
        "new odd.toml",
        "snapshot import odd other",
        "snapshot show odd",
        "snapshot convert odd other",
        "replay odd",
    ],
)
def test_verbs_take_no_other_file(
    command: str, kind: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    names = {"validate": "odd.lock", "plan": "odd.lock", "new": "odd.toml"}
    words = shlex.split(command)
    make(tmp_path / names.get(words[0], "odd"), kind)
    (tmp_path / "machine.toml").write_text(f'name = "odd"\n{FLAT}')
    assert main(words) != 0
    captured = capfd.readouterr()
    assert "odd" in captured.err + captured.out
    assert "internal error" not in captured.err
