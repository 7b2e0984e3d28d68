# SPDX-License-Identifier: BSD-2-Clause
"""What a machine does while it runs works under its sandbox: rewinds, ends of ports, full logs."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.needs import needs
from support.vmmgr import ROOT, Vmmgr

pytestmark = pytest.mark.guest
EVERYTHING = """
schema = 1
name = "all"
extends = ["{root}/machines/hello.toml"]
[disks.empty]
size = "1M"
[disks.written]
image = "written.img"
mode = "direct"
[disks.converted]
image = "converted.qcow2"
[disks.made]
folder = "tree"
format = "fat"
[slots."1"]
device = "ide"
primary-master = "empty"
primary-slave = "written"
secondary-master = "converted"
secondary-slave = "made"
[slots.4]
replace = true
device = "uart"
backend = {{ type = "pty", path = "link.pty" }}
[lpc.com2]
backend = {{ type = "unix", listen = "listen.sock" }}
[lpc.com3]
backend = {{ type = "pipe", path = "cable.sock" }}
[lpc.com4]
backend = {{ type = "tcp", connect = "localhost:{port}" }}
[gdb]
listen = "./gdb.sock"
[debug]
trace = ["irq"]
trace-file = "trace.log"
[ready]
cache = true
[record]
rewind = "10s"
"""
SOCKETS = ("listen.sock", "cable.sock", "gdb.sock", "link.pty")
HELP = "h\\n"


class Everything:
    """A machine with every kind of disk and backend, and a server that it connects to."""

    def __init__(self, command: Vmmgr, folder: Path, server: socket.socket) -> None:
        self.command = command
        self.folder = folder
        self.server = server
        (folder / "tree").mkdir()
        (folder / "written.img").write_bytes(bytes(1 << 20))
        image = ["qemu-img", "create", "-q", "-f", "qcow2", folder / "converted.qcow2", "1M"]
        subprocess.run(image, check=True)
        self.file = folder / "all.toml"
        self.file.write_text(EVERYTHING.format(root=ROOT, port=server.getsockname()[1]))

    def layers_hold(self) -> bool:
        status = json.loads(self.command("status", "all", "--json").stdout)
        return all(layer["holds"] for layer in status["sandbox"])

    def is_answered(self) -> None:
        """Ask the guest for its help; waits for the answer."""
        with socket.socket(socket.AF_UNIX) as gdb:
            gdb.connect(str(self.folder / "gdb.sock"))
        self.command("send", "all", HELP)


@pytest.fixture
def everything(vmmgr: Vmmgr, tmp_path: Path) -> Iterator[Everything]:
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        server.settimeout(30)
        folder = vmmgr.home / "f"  # short enough for sockets
        folder.mkdir()
        machine = Everything(vmmgr, folder, server)
        vmmgr.env["VMMGR_LOG_SIZE"] = "4096"
        vmmgr("up", "-d", machine.file)
        yield machine


@needs("qemu-img", "mkfs.fat", "mcopy")
def test_a_machine_with_everything_goes_back_and_on_and_leaves_nothing(
    everything: Everything,
) -> None:
    vmmgr, folder = everything.command, everything.folder
    assert everything.layers_hold()
    everything.server.accept()[0].close()
    everything.is_answered()

    vmmgr("rewind", "all", "100ms")
    everything.is_answered()
    vmmgr("snapshot", "save", "all", "here")
    everything.server.accept()[0].close()  # it connects again
    vmmgr("suspend", "all")
    vmmgr("resume", "-d", "all")
    assert everything.layers_hold()
    vmmgr("rewind", "all", "1ms")
    everything.is_answered()
    vmmgr("down", "all")

    assert not [name for name in SOCKETS if (folder / name).is_symlink()]
    assert not [name for name in SOCKETS if (folder / name).exists()]
    vmmgr("up", "-d", everything.file, "--fresh")  # from the ready cache
    assert everything.layers_hold()
    vmmgr("rewind", "all", "0ms")
    assert "Traceback" not in (vmmgr.home / "state" / "all" / "owner.log").read_text()


@needs("qemu-img", "mkfs.fat", "mcopy")
def test_a_log_that_is_full_is_begun_anew(everything: Everything) -> None:
    older = everything.command.home / "state" / "all" / "lpc.com1.log.1"
    for _ in range(100):
        everything.command("send", "all", HELP * 40)
        if older.exists():
            break
    assert older.exists()
