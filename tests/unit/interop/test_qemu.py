# SPDX-License-Identifier: BSD-2-Clause
"""A machine as QEMU's command line."""

from __future__ import annotations

import shlex
from itertools import pairwise
from pathlib import Path

from manager.graph.build import load_graph
from manager.interop.to_qemu import export

LINUX = """
name = "demo"
[cpu]
model = "haswell"
[memory]
size = "256M"
[clock]
epoch = 2001-02-03T04:05:06Z
[boot]
kernel = "/k,1"
initrd = "/i"
cmdline = "console=ttyS0 quiet"
[slots.0]
device = "hostbridge"
[slots.4]
device = "uart"
backend = { type = "tcp", listen = "[::1]:4555" }
[slots.4.1]
device = "uart"
backend = { type = "file", path = "/a,b" }
[slots.31]
device = "lpc"
[lpc.com1]
backend = "stdio"
[lpc.com2]
backend = { type = "unix", connect = "/s" }
pace = "baud"
[lpc.debug-exit]
[ready]
port = "com1"
wait-for = "x"
"""


def words(text: str, folder: Path) -> tuple[list[str], list[str]]:
    path = folder / "demo.toml"
    path.write_text(text)
    found = export(load_graph(path))
    return shlex.split(found.text, comments=True), found.lost


def after(option: str, line: list[str]) -> list[str]:
    return [value for name, value in pairwise(line) if name == option]


def test_linux_machine(tmp_path: Path) -> None:
    line, lost = words(LINUX, tmp_path)
    assert line[0] == "qemu-system-x86_64"
    assert after("-m", line) == ["256M"]
    assert after("-cpu", line) == ["Haswell"]
    assert after("-kernel", line) == ["/k,1"]
    assert after("-append", line) == ["console=ttyS0 quiet"]
    assert after("-rtc", line) == ["base=2001-02-03T04:05:06,clock=vm"]
    assert after("-device", line) == [
        "pci-serial,chardev=slots-4,addr=0x4.0,multifunction=on",
        "pci-serial,chardev=slots-4-1,addr=0x4.1",
        "isa-serial,chardev=com1,iobase=0x3f8,irq=4",
        "isa-serial,chardev=com2,iobase=0x2f8,irq=3",
        "isa-debug-exit,iobase=0xf4,iosize=1",
    ]
    assert after("-chardev", line) == [
        "socket,id=slots-4,host=::1,port=4555,server=on,wait=off",
        "file,id=slots-4-1,path=/a,,b,append=on",
        "stdio,id=com1",
        "socket,id=com2,path=/s,reconnect=1",
    ]
    assert [item.split(":")[0] for item in lost] == [
        "debug.on-reset reset",
        "boot.kernel /k,1",
        "slots.31",
        "lpc.com2",
        "ready",
    ]


def test_flat_image_is_loaded_but_not_entered(tmp_path: Path) -> None:
    text = '[boot]\nimage = "/h.bin"\nload = 0x7c00\nentry = 0x7c00\nbits = 16\n'
    line, lost = words(text, tmp_path)
    assert after("-device", line) == ["loader,file=/h.bin,addr=0x7c00"]
    assert lost[-1] == "boot.entry 0x7c00, 16-bit: QEMU starts at the reset vector"


def test_firmware_and_multiboot(tmp_path: Path) -> None:
    line, _ = words('[boot]\nfirmware = "/bios"\n', tmp_path)
    assert after("-bios", line) == ["/bios"]
    line, _ = words('[boot]\nkernel = "/k"\nmodules = ["/a x", "/b"]\n', tmp_path)
    assert after("-initrd", line) == ["/a x,/b"]


def test_a_screen_is_qemu_s_vga(tmp_path: Path) -> None:
    text = LINUX + '[slots.2]\ndevice = "vga"\n'
    line, lost = words(text, tmp_path)
    assert "VGA,addr=0x2.0" in after("-device", line)
    assert not any("slots.2" in item for item in lost)


def test_forwards_keep_their_protocol(tmp_path: Path) -> None:
    network = '{ type = "user", forward = ["127.0.0.1:2222 -> 22", "127.0.0.1:5353 -> 53/udp"] }'
    text = LINUX + f'[slots.2]\ndevice = "virtio-net"\nnetwork = {network}\n'
    line, lost = words(text, tmp_path)
    (user,) = after("-netdev", line)
    assert user.startswith("user,id=")
    assert user.endswith(",hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=udp:127.0.0.1:5353-:53")
    assert not any("slots.2" in item for item in lost)
