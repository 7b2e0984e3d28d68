# SPDX-License-Identifier: BSD-2-Clause
"""Debian's virtio_console: a login on hvc0, and a port that a program of the guest has by name."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from support.modules import cloud, write_initrd
from support.vmmgr import Vmmgr

pytestmark = pytest.mark.guest

MACHINE = """
schema = 1
name = "console"
[memory]
size = "128M"
[boot]
kernel = "{kernel}"
initrd = "{initrd}"
cmdline = "console=ttyS0 quiet"
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[slots.8]
device = "virtio-console"
[slots.8.ports.agent]
backend = {{ type = "unix", listen = "agent.sock" }}
[lpc.com1]
"""
PROMPT = "/ # $"
FIND = "cd /sys/class/virtio-ports; A=/dev/$(basename $(dirname $(grep -l agent */name))); cd /"


class Guest:
    """Linux with the driver, and what its ports print."""

    def __init__(self, vmmgr: Vmmgr, folder: Path) -> None:
        self.vmmgr = vmmgr
        kernel = cloud()
        loaded = write_initrd(folder / "initrd.img", kernel, "virtio_pci", "virtio_console")
        self.load = "; ".join(f"insmod /mods/{name}.ko" for name in loaded)
        self.file = folder / "console.toml"
        self.file.write_text(MACHINE.format(kernel=kernel.image, initrd=folder / "initrd.img"))

    def send(self, port: str, text: str) -> None:
        self.vmmgr("send", "console", "--port", port, rf"{text}\n")

    def expect(self, port: str, pattern: str) -> None:
        """Wait until a port has printed that, since the machine was powered on."""
        log = self.vmmgr.terminal("logs", "console", "--port", port, "-f", timeout=60)
        log.expect(pattern)
        log.close(force=True)


def test_a_shell_on_the_console_and_a_port_by_name(vmmgr: Vmmgr, tmp_path: Path) -> None:
    guest = Guest(vmmgr, tmp_path)
    vmmgr("up", guest.file, "-d", "--wait-for", PROMPT)
    guest.send("com1", f"{guest.load}; {FIND}; setsid sh </dev/hvc0 >/dev/hvc0 2>&1 &")
    guest.expect("8", "# $")
    guest.send("8", "tty; echo is $((1+1))")
    guest.expect("8", "/dev/hvc0\r*\nis 2")

    guest.send("com1", "(exec 3<>$A; while :; do cat <&3 >&3; echo hung up; sleep 1; done) &")
    with socket.socket(socket.AF_UNIX) as agent:
        agent.settimeout(60)
        agent.connect(str(tmp_path / "agent.sock"))
        agent.sendall(b"before\n")
        assert agent.makefile("rb").readline() == b"before\n"
        vmmgr("suspend", "console")
    vmmgr("resume", "console", "-d")
    guest.expect("com1", "hung up")
    with socket.socket(socket.AF_UNIX) as agent:
        agent.settimeout(60)
        agent.connect(str(tmp_path / "agent.sock"))
        agent.sendall(b"after\n")
        assert agent.makefile("rb").readline().endswith(b"after\n")
        before = vmmgr("logs", "console", "--port", "com1").stdout.count("hung up")
    guest.expect("com1", "hung up[^/]*" * (before + 1))
    vmmgr("down", "console")

    again = vmmgr("replay", "console", "--port", "agent")
    assert again.stdout == "before\nafter\n"
    assert "vmmgr: the same" in again.stderr
