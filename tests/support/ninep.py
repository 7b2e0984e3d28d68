# SPDX-License-Identifier: BSD-2-Clause
"""A client of 9P2000.L on a virtqueue: what a guest's driver would send, and anything else."""

from __future__ import annotations

import errno
from pathlib import Path

from manager.bus.clock import Clock, ManualTime
from manager.bus.dma import Dma
from manager.bus.memory import Memory
from manager.bus.record import from_plain, to_plain
from manager.devices.virtio.device import DRIVER_OK, INDIRECT_DESC, VirtioState
from manager.devices.virtio.queue import QueueState
from manager.devices.virtio.server import ServiceState
from manager.devices.virtio_9p import messages as m
from manager.devices.virtio_9p.fids import SessionState
from manager.devices.virtio_9p.server import FilesCore
from manager.storage.base import Zeros
from manager.storage.blocks import DiskBlocks
from manager.storage.disk import Disk
from manager.storage.share.freeze import open_share
from manager.storage.write_log import WriteLog
from support.virtqueue import Driver

MEMORY = 4 << 20
RINGS, REQUEST, ANSWER = 0x1000, 0x10000, 0x200000
MSIZE = 128 << 10
SIZE = 16
EPOCH = 1_704_067_200
QID = 13


class NinepError(Exception):
    """Rlerror: `number` is the error's."""

    def __init__(self, number: int) -> None:
        super().__init__(errno.errorcode.get(number, str(number)))
        self.number = number


def share(folder: Path, cache: Path, *, read_only: bool) -> Disk:
    """A folder as the disk of a machine that boots."""
    image = open_share("src", folder, cache, read_only=read_only)
    return Disk(image, WriteLog.nameless(), read_only=read_only)


def empty() -> Disk:
    """A share that begins empty, and has little room."""
    return Disk(Zeros(8 << 20), WriteLog.nameless())


class Client:
    """The device's core and its driver. Fid 0 is the top once `attach` was called."""

    def __init__(self, disk: Disk, memory: Memory | None = None, now: int = 1000) -> None:
        self.disk = disk
        self.memory = memory if memory is not None else Memory.blank(MEMORY)
        self.time = ManualTime(now)
        self.clock = Clock(self.time)
        self.core = FilesCore(
            Dma(self.memory, lambda start, end: None),
            self.clock,
            DiskBlocks(disk, "src", lambda text: None),
            "src",
            EPOCH,
        )
        self.suspends = False
        """Whether the device is suspended and resumed twice in each request."""
        if memory is None:
            self.driver = Driver(self.memory, RINGS, SIZE)
            self.start()

    def start(self) -> None:
        """As a driver does after a reset."""
        self.memory.write(RINGS, bytes(self.driver.end - RINGS))
        self.driver = Driver(self.memory, RINGS, SIZE)
        self.driver.set_up(self.core.queues[0].state)
        self.core.set_driver_features(INDIRECT_DESC)
        self.core.set_status(DRIVER_OK)

    def suspend(self) -> None:
        """Go on with a device that gets only the records, RAM and the disk."""
        core = self.core
        other = Client(self.disk, self.memory, self.time.value)
        new = other.core
        new.server.state = _stored(ServiceState, core.server.state)
        new.adopt(_stored(VirtioState, core.virtio), [_stored(QueueState, core.queues[0].state)])
        new.files.adopt(_stored(SessionState, core.files.session))
        new.settle()
        self.core, self.time, self.clock = new, other.time, other.clock

    # -- messages -------------------------------------------------------------------------------

    def raw(self, message: bytes, room: int = MSIZE) -> bytes:
        """The answer to a message of any bytes; none when the device wants a reset."""
        self.memory.write(REQUEST, message)
        self.memory.write(ANSWER, b"\xaa" * 16)
        self.driver.put([(REQUEST, len(message))], [(ANSWER, room)])
        if self.suspends:
            self.suspend()
        self.core.notify(0)
        if self.suspends:
            self.time.advance(self.clock, 7_000)
            self.suspend()
        self.time.advance(self.clock, 10_000_000)
        found = self.driver.collect()
        return self.memory.read(ANSWER, found[0][1]) if found else b""

    def ask(self, kind: int, *parts: bytes, tag: int = 1) -> bytes:
        """What is in the answer. Raises NinepError."""
        body = b"".join(parts)
        answer = self.raw(m.HEADER.pack(m.HEADER.size + len(body), kind, tag) + body)
        size, answered, same = m.HEADER.unpack_from(answer)
        assert (size, same) == (len(answer), tag)
        rest = answer[m.HEADER.size :]
        if answered == m.RLERROR:
            raise NinepError(int.from_bytes(rest, "little"))
        assert answered == kind + 1
        return rest

    def attach(self, uid: int = 0) -> None:
        """Agree on a version, and have fid 0 be the top."""
        self.ask(m.VERSION_OF, m.u32(MSIZE), m.string(m.VERSION))
        self.ask(m.ATTACH, m.u32(0, m.NO_FID), m.string(b"root"), m.string(b""), m.u32(uid))

    def walk(self, new: int, path: str = "", fid: int = 0) -> None:
        """Have `new` be what is at a path."""
        names = [part.encode() for part in path.split("/") if part]
        found = self.ask(
            m.WALK, m.u32(fid, new), len(names).to_bytes(2, "little"), *map(m.string, names)
        )
        if int.from_bytes(found[:2], "little") < len(names):
            raise NinepError(errno.ENOENT)

    def open(self, fid: int, flags: int = 0) -> None:
        """Open a fid."""
        self.ask(m.LOPEN, m.u32(fid, flags))

    def create(self, fid: int, name: bytes, flags: int = 2) -> None:
        """A new file in the directory of `fid`, which is the file from then on."""
        self.ask(m.LCREATE, m.u32(fid), m.string(name), m.u32(flags, 0o644, 0))

    def read(self, fid: int, offset: int = 0, count: int = MSIZE) -> bytes:
        """Content."""
        return self.ask(m.READ, m.u32(fid), offset.to_bytes(8, "little"), m.u32(count))[4:]

    def write(self, fid: int, data: bytes, offset: int = 0) -> None:
        """Write content."""
        self.ask(m.WRITE, m.u32(fid), offset.to_bytes(8, "little"), m.u32(len(data)), data)

    def clunk(self, fid: int) -> None:
        """Drop a fid."""
        self.ask(m.CLUNK, m.u32(fid))

    def unlink(self, name: bytes, fid: int = 0, flags: int = 0) -> None:
        """Take a name away."""
        self.ask(m.UNLINKAT, m.u32(fid), m.string(name), m.u32(flags))

    def names(self, fid: int, count: int = MSIZE) -> list[bytes]:
        """All names in the open directory of `fid`, in order, some at a time."""
        found: list[bytes] = []
        offset = 0
        while True:
            data = self.ask(m.READDIR, m.u32(fid), offset.to_bytes(8, "little"), m.u32(count))[4:]
            if not data:
                return found
            at = 0
            while at < len(data):
                offset = int.from_bytes(data[at + QID : at + QID + 8], "little")
                length = int.from_bytes(data[at + QID + 9 : at + QID + 11], "little")
                at += QID + 11 + length
                found.append(data[at - length : at])


def _stored(kind: type, record: object) -> object:
    return from_plain(kind, to_plain(record), kind.VERSION, "record")  # type: ignore[arg-type,attr-defined]
