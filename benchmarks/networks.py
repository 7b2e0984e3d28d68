# SPDX-License-Identifier: BSD-2-Clause
"""Networks: TCP from guest to guest and from the host into one, and how many frames a second.

The guests are Debian's kernel and busybox, with a virtio card. Here the two are a lab; with QEMU
they are two processes with a socket between them, which have a CPU of the host each.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import initrds, ours, qemu
from benchmarks.contest import Figures, contests
from benchmarks.linux_boot import KERNEL
from benchmarks.process import Child, output_of
from benchmarks.row import FULL, VMMGR, AbsentError, Effort, Row

NAME = "networks"
SLIRP = "QEMU TCG, -netdev user"
PEERS = (qemu.TCG, SLIRP)
INITRD = KERNEL.parent / "network.img"
MIBS = 16
"""Sent by TCP."""
FRAMES = 20_000
"""Datagrams of 18 bytes, the shortest frames there are."""
LONGEST = 300.0
BEGIN, MIDDLE, END = b"[begin]", b"[middle]", b"[end]"

_PART = """ip addr add $address dev eth0; ip link set eth0 up; ip route add default via 10.0.2.2
"""
_SERVER = "nc -l -p 77 >/dev/null; sleep 1000000"
_CLIENT = """until ping -c1 -W1 10.0.2.16 >/dev/null; do :; done
echo '[begin]'
dd if=/dev/zero bs=65536 count={pieces} 2>/dev/null | nc 10.0.2.16 77
echo '[middle]'
/flood
echo '[end]'
"""
_FETCH = """until nc 10.0.2.2 {port} </dev/null; do :; done
echo '[begin]'
wget -qO /dev/null http://10.0.2.2:{port}/ && echo '[end]'
"""
# Sends FRAMES datagrams to port 9 of 10.0.2.16.
_FLOOD = """
        .intel_syntax noprefix
        .globl _start
_start: mov     edi, 2
        mov     esi, 2
        xor     edx, edx
        mov     eax, 41                         # socket(AF_INET, SOCK_DGRAM, 0)
        syscall
        mov     ebx, eax
        mov     r12d, {frames}
1:      mov     edi, ebx
        lea     rsi, to[rip]
        mov     edx, 18
        xor     r10d, r10d
        lea     r8, to[rip]
        mov     r9d, 16
        mov     eax, 44                         # sendto
        syscall
        dec     r12d
        jnz     1b
        xor     edi, edi
        mov     eax, 60                         # exit
        syscall
        .data
to:     .byte   2, 0, 0, 9, 10, 0, 2, 16
        .skip   16
"""
_MACHINE = """
schema = 1
[memory]
size = "128M"
[clock]
mode = "{mode}"
[boot]
kernel = "{kernel}"
initrd = "{initrd}"
cmdline = "{cmdline}"
[slots.0]
device = "hostbridge"
[slots.6]
device = "virtio-net"
network = "{network}"
[slots.31]
device = "lpc"
[lpc.com1]
"""
_LAB = """
schema = 1
[machines.client]
file = "client.toml"
[machines.server]
file = "server.toml"
[links.lan]
latency = "1ms"
bandwidth = "1G"
"""
_ADDRESSES = {"client": "10.0.2.15", "server": "10.0.2.16"}


def measure(effort: Effort = FULL) -> list[Row]:
    """Two guests on a wire, then one and the host."""
    ours.compile_modules()
    return _between(effort) + _outside(effort)


# -- two guests -----------------------------------------------------------------------------------


def _between(effort: Effort) -> list[Row]:
    pieces, frames = effort.of(MIBS * 16), effort.of(FRAMES)
    tcp = f"TCP from guest to guest, {pieces / 16:g} MiB"
    flood = f"{frames} frames of 60 bytes from guest to guest"
    parts = {
        "client": _CLIENT.format(pieces=pieces),
        "server": _SERVER,
    }

    def attempt(run: _Pair) -> Callable[[], Figures]:
        def figures() -> Figures:
            with tempfile.TemporaryDirectory(prefix="vm-") as folder:
                for name, part in parts.items():
                    _write_initrd(Path(folder) / f"{name}.img", part, frames)
                with run(Path(folder)) as client:
                    began, middle, ended = (client.wait_for(mark) for mark in (BEGIN, MIDDLE, END))
            return {tcp: pieces / 16 / (middle - began), flood: frames / (ended - middle)}

        return figures

    contestants = {VMMGR: attempt(_lab), qemu.TCG: attempt(_two_qemus)}
    notes = {VMMGR: "a lab of one process; latency 1 ms", qemu.TCG: "two processes at once"}
    found = contests([tcp, flood], "", contestants, effort.rounds, more_is_better=True, notes=notes)
    units = {tcp: "MiB/s", flood: "frames/s"}
    return [row.of_unit(units[row.contest]) for row in found]


_Pair = Callable[[Path], contextlib.AbstractContextManager[Child]]


@contextlib.contextmanager
def _lab(folder: Path) -> Iterator[Child]:
    for name, address in _ADDRESSES.items():
        text = _machine(folder / f"{name}.img", address, "virtual", "lan")
        (folder / f"{name}.toml").write_text(text)
    (folder / "bench.toml").write_text(_LAB)
    state = {"VMMGR_STATE_HOME": str(folder / "s"), "XDG_RUNTIME_DIR": str(folder)}
    output_of([*ours.COMMAND, "up", "-d", folder / "bench.toml"], state)
    try:
        with Child([*ours.COMMAND, "logs", "-f", "bench/client"], state, LONGEST) as child:
            yield child
    finally:
        output_of([*ours.COMMAND, "down", "bench"], state)


@contextlib.contextmanager
def _two_qemus(folder: Path) -> Iterator[Child]:
    wire = folder / "wire"
    ends = {
        "server": f"stream,id=n,server=on,addr.type=unix,addr.path={wire}",
        "client": f"stream,id=n,server=off,addr.type=unix,addr.path={wire}",
    }
    with contextlib.ExitStack() as running:
        for number, (name, end) in enumerate(ends.items()):
            command = _qemu(folder / f"{name}.img", _ADDRESSES[name], end, number)
            child = running.enter_context(Child(command, longest=LONGEST))
            while not wire.exists() and child.is_running:
                time.sleep(0.01)
        yield child


# -- one guest and the host -----------------------------------------------------------------------


def _outside(effort: Effort) -> list[Row]:
    pieces = effort.of(MIBS * 16)
    tcp = f"TCP from the host to a guest, {pieces / 16:g} MiB"

    def attempt(run: _Alone) -> Callable[[], Figures]:
        def figures() -> Figures:
            with (
                tempfile.TemporaryDirectory(prefix="vm-") as folder,
                _source(bytes(pieces << 16)) as port,
            ):
                initrd = Path(folder) / "client.img"
                _write_initrd(initrd, _FETCH.format(port=port))
                with run(Path(folder), initrd) as client:
                    began, ended = client.wait_for(BEGIN), client.wait_for(END)
            return {tcp: pieces / 16 / (ended - began)}

        return figures

    contestants = {
        VMMGR: attempt(_by_passt),
        qemu.TCG: attempt(_qemu_by_passt),
        SLIRP: attempt(_qemu_by_slirp),
    }
    notes = {VMMGR: "by passt, paced, recorded", qemu.TCG: "by passt"}
    return contests([tcp], "MiB/s", contestants, effort.rounds, more_is_better=True, notes=notes)


_Alone = Callable[[Path, Path], contextlib.AbstractContextManager[Child]]


@contextlib.contextmanager
def _by_passt(folder: Path, initrd: Path) -> Iterator[Child]:
    machine = folder / "bench.toml"
    machine.write_text(_machine(initrd, _ADDRESSES["client"], "paced", "user"))
    state = {"VMMGR_STATE_HOME": str(folder / "s"), "XDG_RUNTIME_DIR": str(folder)}
    output_of([*ours.COMMAND, "up", "-d", machine], state)
    try:
        with Child([*ours.COMMAND, "logs", "-f", "bench"], state, LONGEST) as child:
            yield child
    finally:
        output_of([*ours.COMMAND, "down", "bench"], state)


@contextlib.contextmanager
def _qemu_by_passt(folder: Path, initrd: Path) -> Iterator[Child]:
    from manager.errors import HostError
    from manager.network import passt

    ends = socket.socketpair()
    with ends[0], ends[1]:
        try:
            command = passt.command(ends[1].fileno(), ())
        except HostError as error:
            raise AbsentError(str(error)) from None
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[ends[1].fileno()],
        ) as road:
            end = f"stream,id=n,addr.type=fd,addr.str={ends[0].fileno()}"
            command = _qemu(initrd, _ADDRESSES["client"], end)
            try:
                descriptors = [ends[0].fileno()]
                with Child(command, longest=LONGEST, descriptors=descriptors) as child:
                    yield child
            finally:
                road.terminate()


@contextlib.contextmanager
def _qemu_by_slirp(_: Path, initrd: Path) -> Iterator[Child]:
    command = _qemu(initrd, _ADDRESSES["client"], "user,id=n")
    with Child(command, longest=LONGEST) as child:
        yield child


@contextlib.contextmanager
def _source(content: bytes) -> Iterator[int]:
    """The port of a web server on the loopback that has nothing but `content`."""
    head = f"HTTP/1.0 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connected, _ = server.accept()
                with connected, contextlib.suppress(OSError):
                    if connected.recv(4096):
                        connected.sendall(head + content)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)


# -- both -----------------------------------------------------------------------------------------


def _cmdline(address: str) -> str:
    return f"console=ttyS0 quiet rdinit=/bench address={address}/24"


def _machine(initrd: Path, address: str, mode: str, network: str) -> str:
    return _MACHINE.format(
        mode=mode, kernel=KERNEL, initrd=initrd, cmdline=_cmdline(address), network=network
    )


def _qemu(initrd: Path, address: str, netdev: str, number: int = 0) -> list[str]:
    command = [*qemu.pc(128), "-kernel", str(KERNEL), "-initrd", str(initrd)]
    command += ["-append", _cmdline(address), "-netdev", netdev]
    return [*command, "-device", f"virtio-net-pci,netdev=n,mac=52:54:00:00:00:0{number}"]


def _write_initrd(path: Path, part: str, frames: int = 1) -> None:
    """Busybox and the drivers, with an init that does its part; /flood sends so many frames.

    Raises AbsentError.
    """
    initrds.require((KERNEL, INITRD), "examples/linux/fetch.sh")
    flood = initrds.assembled(_FLOOD.format(frames=frames))
    initrds.write(path, INITRD, _PART + part, {"flood": flood})
