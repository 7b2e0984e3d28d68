# SPDX-License-Identifier: BSD-2-Clause
"""Consoles: bytes a second from and to a program of Linux, by a uart and by virtio-console.

The host's end of each port is a UNIX socket. Debian's cloud kernel has the uart's driver built in,
and virtio_console as a module.
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import initrds, ours, qemu
from benchmarks.contest import Figures, contests
from benchmarks.disks import MODULES
from benchmarks.linux_boot import INITRD, KERNEL
from benchmarks.process import Child
from benchmarks.row import FULL, VMMGR, AbsentError, Effort, Row

NAME = "consoles"
PEERS = (qemu.TCG,)
DRIVERS = (
    "virtio_ring", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio", "virtio_pci",
    "virtio_console",
)  # fmt: skip
PORTS = {
    "a 16550": ("/dev/ttyS1", 48),
    "a named port": ("/dev/vport0p1", 4096),
}
"""The guest's device, and the KiB that go each way.

Of what a uart without flow control gets, Linux keeps 64 KiB for a program that is slow.
"""
SOCKETS = ("uart", "port")
LONGEST = 100.0

_PART = """dd if=/dev/zero of=/bytes bs=1024 count={most} 2>/dev/null
stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1
echo '[ready]'
head -c 1 <&3 >/dev/null
"""
_PORT_PART = """exec 3<>{device}
echo '[out {number}]'
head -c {size} /bytes >&3
echo '[in {number}]'
head -c {size} <&3 >/dev/null
echo '[end {number}]'
exec 3<&-
"""
_CMDLINE = "console=ttyS0 quiet rdinit=/bench"
_MACHINE = """
schema = 1
[memory]
size = "128M"
[clock]
mode = "virtual"
[boot]
kernel = "{kernel}"
initrd = "initrd.img"
cmdline = "{cmdline}"
[slots.0]
device = "hostbridge"
[slots.8]
device = "virtio-console"
[slots.8.ports.bench]
backend = {{ type = "unix", listen = "port" }}
[slots.31]
device = "lpc"
[lpc.com1]
[lpc.com2]
backend = {{ type = "unix", listen = "uart" }}
"""


def measure(effort: Effort = FULL) -> list[Row]:
    """Two contests for each kind of port."""
    ours.compile_modules()
    sizes = [max(4, effort.of(kib)) * 1024 for _, kib in PORTS.values()]
    names = [
        (f"{size >> 10} KiB out of {port}", f"{size >> 10} KiB in by {port}")
        for port, size in zip(PORTS, sizes, strict=True)
    ]

    def attempt(command_in: Callable[[Path], list[str]]) -> Callable[[], Figures]:
        def figures() -> Figures:
            rates: dict[str, float] = {}
            with tempfile.TemporaryDirectory(prefix="vm-") as folder:
                _write_initrd(Path(folder) / "initrd.img", sizes)
                state = {"VMMGR_STATE_HOME": str(Path(folder) / "s")}
                with (
                    Child(command_in(Path(folder)), state, LONGEST) as guest,
                    _connected(guest, Path(folder)) as ends,
                ):
                    for number, (size, pair) in enumerate(zip(sizes, names, strict=True)):
                        seconds = _both_ways(guest, ends[number], number, size)
                        rates |= {n: size / 1024 / s for n, s in zip(pair, seconds, strict=True)}
            return rates

        return figures

    contestants = {VMMGR: attempt(_vmmgr), qemu.TCG: attempt(_qemu)}
    contest_names = [name for pair in names for name in pair]
    return contests(contest_names, "KiB/s", contestants, effort.rounds, more_is_better=True)


@contextlib.contextmanager
def _connected(guest: Child, folder: Path) -> Iterator[list[socket.socket]]:
    """The host's ends of all ports. Then the guest, which waits for that, begins."""
    guest.wait_for(b"[ready]")
    with contextlib.ExitStack() as stack:
        ends = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in SOCKETS]
        for end, name in zip(ends, SOCKETS, strict=True):
            end.settimeout(LONGEST)
            end.connect(str(folder / name))
        ends[0].sendall(b"\n")
        yield ends


def _both_ways(guest: Child, end: socket.socket, number: int, size: int) -> tuple[float, float]:
    """Seconds until the host had all that the guest sent, and the guest what the host sent."""
    began = guest.wait_for(b"[out %d]" % number)
    left = size
    while left:
        try:
            got = len(end.recv(min(left, 1 << 16)))
        except TimeoutError:
            got = 0
        if not got:
            raise AbsentError(f"of {size} bytes from {SOCKETS[number]}, {left} never came")
        left -= got
    out = time.perf_counter() - began
    began = guest.wait_for(b"[in %d]" % number)
    end.sendall(bytes(size))
    return out, guest.wait_for(b"[end %d]" % number) - began


def _write_initrd(path: Path, sizes: list[int]) -> None:
    modules = [MODULES / f"{name}.ko" for name in DRIVERS]
    initrds.require((KERNEL, INITRD), "examples/linux/fetch.sh")
    initrds.require(modules, "examples/linux/fetch.sh --force")
    devices = [device for device, _ in PORTS.values()]
    part = _PART.format(most=max(sizes) >> 10)
    for number, (device, size) in enumerate(zip(devices, sizes, strict=True)):
        part += _PORT_PART.format(device=device, number=number, size=size)
    initrds.write(path, INITRD, part, modules=modules)


def _vmmgr(folder: Path) -> list[str]:
    (folder / "bench.toml").write_text(_MACHINE.format(kernel=KERNEL, cmdline=_CMDLINE))
    return [*ours.COMMAND, "run", str(folder / "bench.toml"), "--until", "\\[over\\]"]


def _qemu(folder: Path) -> list[str]:
    command = [*qemu.pc(128, serial=("stdio", "chardev:uart")), "-kernel", str(KERNEL)]
    command += ["-initrd", str(folder / "initrd.img"), "-append", _CMDLINE]
    for name in SOCKETS:
        command += ["-chardev", f"socket,id={name},path={folder / name},server=on,wait=off"]
    command += ["-chardev", "null,id=console"]
    command += ["-device", "virtio-serial-pci", "-device", "virtconsole,chardev=console"]
    return [*command, "-device", "virtserialport,chardev=port,name=bench"]
