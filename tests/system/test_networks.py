# SPDX-License-Identifier: BSD-2-Clause
"""Networks of machines that run: what a peer sends and gets, and what the host refuses."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest
from support.needs import needs
from support.networked import free_port
from support.vmmgr import Vmmgr

from manager.client.client import Client

pytestmark = pytest.mark.guest

QUIET = """
schema = 1
name = "plugged"
[memory]
size = "1M"
[boot]
image = "guest.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[slots.6]
device = "virtio-net"
network = {network}
[lpc.com1]
"""
CONNECTS = '{ type = "socket", connect = "lan.sock" }'


def quiet(folder: Path, network: str) -> Path:
    """A machine that sleeps."""
    (folder / "guest.bin").write_bytes(b"\xfb\xf4\xeb\xfc")  # sti; hlt; again
    file = folder / "plugged.toml"
    file.write_text(QUIET.format(network=network))
    return file


def is_gone(pid: int, patience: float = 20) -> bool:
    """Whether a process ends in time. One that is waited for no more may be left as a zombie."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_peer_that_comes_when_the_machine_runs_is_found(vmmgr: Vmmgr, tmp_path: Path) -> None:
    vmmgr("up", quiet(tmp_path, CONNECTS), "-d")

    with socket.socket(socket.AF_UNIX) as peer:
        peer.bind(str(tmp_path / "lan.sock"))
        peer.listen()
        peer.settimeout(30)
        peer.accept()[0].close()
        peer.accept()[0].close()  # and again after it went
    vmmgr("down", "plugged")


def test_without_passt_the_package_is_named(vmmgr: Vmmgr, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    vmmgr.env["PATH"] = str(tmp_path / "bin")

    result = vmmgr("up", quiet(tmp_path, '"user"'), "-d", status=1)

    assert "slots.6: a network of the type user needs passt" in result.stderr
    assert "apt install passt" in result.stderr
    assert "running" not in vmmgr("ls").stdout


def record(vmmgr: Vmmgr) -> dict[str, object]:
    """What is written down of the machine while it runs."""
    found = json.loads((vmmgr.home / "state" / "plugged" / "machine.json").read_text())
    assert isinstance(found, dict)
    return found


def owner_and_passt(vmmgr: Vmmgr) -> tuple[int, int]:
    """The processes that run the machine, and the road outside."""
    status = json.loads(vmmgr("status", "plugged", "--json").stdout)
    return status["pid"], int(status["networks"][0]["peer"].rpartition(" ")[2])


@needs("passt")
def test_passt_that_dies_leaves_the_link_down_and_the_machine_up(
    vmmgr: Vmmgr, tmp_path: Path
) -> None:
    vmmgr("up", quiet(tmp_path, '"user"'), "-d")
    _, passt = owner_and_passt(vmmgr)

    with Client.connect(Path(str(record(vmmgr)["socket"]))) as client:
        client.execute("subscribe")
        os.kill(passt, signal.SIGKILL)
        told = client.next_message()

    assert told is not None
    assert told["event"] == "link-down"
    assert told["data"]["card"] == "slots.6"
    failed = f"passt, process {passt} failed: "
    assert told["data"]["message"].startswith(failed)
    assert failed in vmmgr("status", "plugged").stdout
    vmmgr("down", "plugged")


@needs("passt")
def test_nothing_of_passt_outlives_a_machine_whose_process_is_killed(
    vmmgr: Vmmgr, tmp_path: Path
) -> None:
    entry = free_port()
    forward = f'["127.0.0.1:{entry} -> 22"]'
    vmmgr("up", quiet(tmp_path, f'{{ type = "user", forward = {forward} }}'), "-d")
    owner, passt = owner_and_passt(vmmgr)

    os.kill(owner, signal.SIGKILL)

    assert is_gone(passt)
    socket.create_server(("127.0.0.1", entry)).close()
