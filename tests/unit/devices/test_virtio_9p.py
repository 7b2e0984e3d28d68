# SPDX-License-Identifier: BSD-2-Clause
"""virtio-9p at its queue: what a guest may ask, cut by suspends, and clients that lie."""

from __future__ import annotations

import errno
import os
import random
import stat
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ninep import EPOCH, MSIZE, Client, NinepError, empty, share

from manager.devices.virtio.device import NEEDS_RESET
from manager.devices.virtio.queue import DESC_INDIRECT, DESC_NEXT, DESC_WRITE
from manager.devices.virtio_9p import messages as m
from manager.devices.virtio_9p.fids import MAX_FIDS
from manager.storage.share.changes import FILE, Change, packed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "src"
    (source / "inner").mkdir(parents=True)
    (source / "hello").write_text("hello\n")
    (source / "inner" / "large").write_bytes(random.Random(1).randbytes(300_000))
    (source / "away").symlink_to("/etc/passwd")
    return source


@pytest.fixture
def client(folder: Path, tmp_path: Path) -> Client:
    found = Client(share(folder, tmp_path / "cache", read_only=False))
    found.attach()
    return found


def refused(number: int, call: object, *arguments: object) -> None:
    assert callable(call)
    with pytest.raises(NinepError) as error:
        call(*arguments)
    assert errno.errorcode[error.value.number] == errno.errorcode[number]


def attributes(client: Client, fid: int) -> tuple[int, ...]:
    """(mode, uid, gid, links, device, size, mtime in ns) of a fid."""
    found = client.ask(m.GETATTR, m.u32(fid), bytes(8))
    _, _, mode, uid, gid, links, device, size, _, _, *times = struct.unpack(
        "<Q13sIIIQQQQQ8QQQ", found
    )
    return mode, uid, gid, links, device, size, times[2] * 1_000_000_000 + times[3]


def test_a_folder_is_what_it_was(client: Client, folder: Path) -> None:
    content = (folder / "inner" / "large").read_bytes()
    time = (folder / "hello").stat().st_mtime_ns
    (folder / "hello").write_text("changed on the host")
    (folder / "inner" / "large").unlink()

    client.walk(1, "hello")
    client.open(1)
    client.walk(2, "inner/large")
    client.open(2)
    client.walk(3)
    client.open(3)

    assert client.read(1) == b"hello\n"
    assert attributes(client, 1) == (stat.S_IFREG | 0o644, 0, 0, 1, 0, 6, time)
    parts = [client.read(2, at, 100_001) for at in range(0, 300_000, 100_001)]
    assert b"".join(parts) == content
    assert client.names(3) == client.names(3, 60) == [b".", b"..", b"away", b"hello", b"inner"]
    refused(errno.EINVAL, client.names, 3, 20)
    client.walk(4, "away")
    assert client.ask(m.READLINK, m.u32(4)) == m.string(b"/etc/passwd")


def test_the_host_s_files_take_their_place_under_a_guest(client: Client) -> None:
    """What the guest has open stays what it was until it opens the name again."""
    client.walk(1, "hello")
    client.open(1)
    piece = Change(FILE, b"hello", 0o755, b"new ", is_last=False)
    client.core.files.change(packed([piece]))
    client.walk(2, "hello")
    client.open(2)
    assert client.read(2) == b"hello\n"
    client.suspends = True
    client.core.files.change(packed([Change(FILE, b"hello", 0o755, b"content", 4)]))

    assert client.read(1) == client.read(2) == b"hello\n"
    client.walk(3, "hello")
    client.open(3)
    assert client.read(3) == b"new content"
    assert attributes(client, 3)[:2] == (stat.S_IFREG | 0o755, 0)
    assert attributes(client, 3)[-1] // 1_000_000_000 == EPOCH
    client.walk(4)
    client.open(4)
    assert client.names(4) == [b".", b"..", b"away", b"hello", b"inner"]


def test_a_read_only_share_refuses_all_that_writes(folder: Path, tmp_path: Path) -> None:
    client = Client(share(folder, tmp_path / "cache", read_only=True))
    client.attach()
    client.walk(1, "hello")
    refused(errno.EROFS, client.open, 1, 1)
    refused(errno.EROFS, client.create, 0, b"new")
    refused(errno.EROFS, client.unlink, b"hello")
    refused(errno.EROFS, client.ask, m.MKDIR, m.u32(0), m.string(b"d"), m.u32(0o755, 0))
    refused(errno.EROFS, client.ask, m.LINK, m.u32(0, 1), m.string(b"l"))
    refused(errno.EROFS, client.ask, m.SETATTR, m.u32(1, 1, 0, 0, 0), bytes(40))
    refused(errno.EROFS, client.ask, m.RENAME, m.u32(1, 0), m.string(b"n"))
    assert not client.disk.unsaved


@pytest.mark.parametrize("suspends", [False, True])
def test_what_is_written_is_read_again(client: Client, suspends: bool) -> None:
    """Blocks of the folder in place, growth behind them, holes, a cut and growth over it."""
    client.suspends = suspends
    client.walk(1, "inner/large")
    client.open(1, 2)
    expected = bytearray(client.read(1) + client.read(1, MSIZE - 11) + client.read(1, 262_122))
    assert len(expected) == 300_000
    chance = random.Random(2)
    for _ in range(40):
        at, length = chance.randrange(700_000), chance.choice([1, 511, 4096, 60_000])
        data = chance.randbytes(length)
        client.write(1, data, at)
        expected += bytes(max(0, at + length - len(expected)))
        expected[at : at + length] = data
        if chance.random() < 0.2:
            size = chance.randrange(800_000)
            client.ask(m.SETATTR, m.u32(1, 8, 0, 0, 0), size.to_bytes(8, "little"), bytes(32))
            expected = expected[:size] + bytes(max(0, size - len(expected)))
    assert attributes(client, 1)[5] == len(expected)
    found = b"".join(client.read(1, at, 100_000) for at in range(0, len(expected), 100_000))
    assert found == expected


def test_a_file_is_read_after_it_lost_its_name(client: Client) -> None:
    client.walk(1, "hello")
    client.open(1, 2)
    free = statfs(client)
    client.unlink(b"hello")
    client.suspend()
    refused(errno.ENOENT, client.walk, 2, "hello")
    client.write(1, b"more", 100_000)
    assert client.read(1)[:6] == b"hello\n"
    assert attributes(client, 1)[3] == 0
    assert statfs(client)[0] < free[0]
    client.clunk(1)
    assert statfs(client)[0] == free[0]


def statfs(client: Client) -> tuple[int, int]:
    """Blocks and nodes that are free."""
    found = client.ask(m.STATFS, m.u32(0))
    _, _, _, free, _, _, nodes, _, _ = struct.unpack("<IIQQQQQQI", found)
    return free, nodes


def test_names_come_move_and_go(client: Client) -> None:
    odd = bytes(byte for byte in range(1, 256) if byte != ord("/"))
    client.walk(1)
    client.create(1, odd, 2 | 0o200)
    client.write(1, b"odd")
    client.ask(m.MKDIR, m.u32(0), m.string(b"d"), m.u32(0o750, 7))
    client.walk(2, "d")
    client.ask(m.LINK, m.u32(2, 1), m.string(b"other"))
    client.ask(m.RENAMEAT, m.u32(0), m.string(b"hello"), m.u32(2), m.string(b"other"))
    client.ask(m.SYMLINK, m.u32(2), m.string(b"s"), m.string(b"../x"), m.u32(0))
    client.ask(m.MKNOD, m.u32(2), m.string(b"n"), m.u32(stat.S_IFCHR | 0o600, 5, 300, 0))
    client.walk(3, "inner")
    client.ask(m.RENAME, m.u32(3, 2), m.string(b"moved"))
    client.walk(4, "d/moved/..")
    client.open(4)

    assert sorted(client.names(4)) == [b".", b"..", b"moved", b"n", b"other", b"s"]
    client.walk(5, "d/other")
    client.open(5)
    assert client.read(5) == b"hello\n"
    client.walk(6, "d/n")
    assert attributes(client, 6)[4] == os.makedev(5, 300)
    assert attributes(client, 2)[:4] == (stat.S_IFDIR | 0o750, 0, 7, 3)
    refused(errno.ENOTEMPTY, client.unlink, b"d", 0, 0x200)
    refused(errno.EISDIR, client.unlink, b"d")
    refused(errno.ENOTDIR, client.unlink, b"s", 2, 0x200)
    refused(errno.EINVAL, client.ask, m.RENAME, m.u32(2, 3), m.string(b"below-itself"))
    refused(errno.EPERM, client.ask, m.LINK, m.u32(0, 2), m.string(b"l"))
    client.ask(m.REMOVE, m.u32(5))
    refused(errno.EBADF, client.clunk, 5)
    client.unlink(odd)
    client.clunk(1)


@pytest.mark.parametrize("name", [b"..", b".", b"", b"a/b", b"/", b"a\0b", b"n" * 256])
def test_no_name_leads_out_of_the_folder(client: Client, name: bytes) -> None:
    number = errno.ENAMETOOLONG if len(name) > 255 else errno.EINVAL
    client.walk(1)
    if name not in (b".", b".."):
        refused(errno.ENOENT, client.ask, m.WALK, m.u32(0, 2), b"\1\0", m.string(name))
        refused(number, client.create, 1, name)
    refused(number, client.ask, m.MKDIR, m.u32(0), m.string(name), m.u32(0o755, 0))
    refused(number, client.ask, m.SYMLINK, m.u32(0), m.string(name), m.string(b"x"), m.u32(0))
    move = (m.RENAMEAT, m.u32(0), m.string(b"hello"), m.u32(0), m.string(name))
    refused(number, client.ask, *move)
    client.walk(3, "inner/../../../..")
    top = client.ask(m.GETATTR, m.u32(0), bytes(8))
    assert client.ask(m.GETATTR, m.u32(3), bytes(8)) == top
    client.walk(4, "away")
    refused(errno.ELOOP, client.open, 4)
    refused(errno.ENOTDIR, client.walk, 5, "x", 4)


def test_what_is_wrong_is_told(client: Client) -> None:
    refused(errno.EBADF, client.read, 9)
    refused(errno.EBADF, client.read, 0)
    refused(errno.EBADF, client.walk, 0, "hello", 9)
    refused(errno.EOPNOTSUPP, client.ask, m.XATTRWALK, m.u32(0, 5), m.string(b"user.x"))
    refused(errno.EOPNOTSUPP, client.ask, m.AUTH, bytes(12))
    refused(errno.EOPNOTSUPP, client.ask, 250)
    refused(errno.EINVAL, client.ask, m.GETATTR, b"\0")
    client.walk(1, "hello")
    client.open(1)
    refused(errno.EBADF, client.write, 1, b"x")
    assert client.ask(m.LOCK, m.u32(1), b"\1", bytes(24), m.string(b"c")) == b"\0"
    assert client.ask(m.GETLOCK, m.u32(1), b"\1", bytes(20), m.string(b"c"))[0] == 2
    assert client.ask(m.FLUSH, b"\7\0", tag=7) == b""
    assert client.ask(m.FSYNC, m.u32(1, 0)) == b""
    answer = client.ask(m.VERSION_OF, m.u32(8192), m.string(b"9P2000"))
    assert answer == m.u32(8192) + m.string(b"unknown")
    refused(errno.EINVAL, client.read, 1)


def test_memory_and_room_are_bounded() -> None:
    client = Client(empty())
    client.attach()
    for number in range(1, MAX_FIDS):
        client.core.files.answer(m.WALK, m.u32(0, number) + b"\0\0", 100)
    refused(errno.EMFILE, client.walk, MAX_FIDS)
    client.attach()
    client.walk(1)
    client.create(1, b"file")
    refused(errno.EFBIG, client.write, 1, b"x", 1 << 40)
    data = bytes(range(256)) * 400
    refused(errno.ENOSPC, lambda: [client.write(1, data, at << 18) for at in range(100)])
    client.unlink(b"file")
    client.clunk(1)
    client.walk(1)
    client.create(1, b"file")
    client.write(1, b"there is room again", 1 << 20)


KINDS = sorted(
    value
    for name, value in vars(m).items()
    if name.isupper() and isinstance(value, int) and 7 < value < 124 and value % 2 == 0
)


def message(chance: random.Random) -> bytes:
    """A message of some kind, of parts that are often right."""
    parts = []
    for _ in range(chance.randrange(7)):
        parts.append(
            chance.choice(
                [
                    lambda: m.u32(chance.choice([0, 0, 1, 2, 3, 77, 0xFFFFFFFF])),
                    lambda: chance.choice([0, 1, 1 << 32, (1 << 64) - 1]).to_bytes(8, "little"),
                    lambda: m.string(chance.choice([b"a", b"b", b"..", b"", b"a/b", b"x" * 300])),
                    lambda: b"\xff\xff" + b"short",
                    lambda: chance.randbytes(chance.randrange(9)),
                ]
            )()
        )
    body = b"".join(parts)
    size = chance.choice([7 + len(body)] * 6 + [0, 6, 8, 1 << 20, 0xFFFFFFFF])
    return m.HEADER.pack(size, chance.choice([*KINDS, chance.randrange(256)]), 5) + body


@given(st.integers(0, 1 << 32))
@settings(max_examples=100)
def test_whatever_a_client_says_it_is_answered(seed: int) -> None:
    chance = random.Random(seed)
    client = Client(empty())
    client.attach()
    for _ in range(60):
        answer = client.raw(message(chance), chance.choice([MSIZE, MSIZE, 11, 30]))
        size, kind, tag = m.HEADER.unpack_from(answer)
        assert (size, tag) == (len(answer), 5)
        if kind == m.RLERROR:
            assert int.from_bytes(answer[7:], "little") in errno.errorcode
        if not client.core.files.session.msize:
            client.attach()
        if chance.random() < 0.1:
            client.suspend()
    client.attach()
    client.walk(1)
    client.create(1, b"fine")
    client.write(1, b"fine")
    assert client.read(1) == b"fine"


@given(st.integers(0, 1 << 32))
@settings(max_examples=100)
def test_whatever_a_queue_says_the_device_goes_on_or_wants_a_reset(seed: int) -> None:
    chance = random.Random(seed)
    client = Client(empty())
    client.attach()
    for _ in range(15):
        client.memory.write(0x10000, message(chance))
        first = chance.randrange(16)
        for index in (first, first ^ 1, chance.randrange(16)):
            address = chance.choice([0x10000, 0x10000, chance.randrange(4 << 20), 1 << 40])
            length = chance.choice([0, 1, 7, 11, 23, 4096, 1 << 20, (1 << 32) - 1])
            flags = chance.choice([0, DESC_NEXT, DESC_WRITE, DESC_WRITE | DESC_NEXT, DESC_INDIRECT])
            client.driver.descriptor(index, address, length, flags, chance.randrange(18))
        client.driver.make_available(chance.choice([first, first, chance.randrange(1 << 16)]))
        client.core.notify(0)
        client.time.advance(client.clock, 300_000_000)
    client.core.set_status(0)
    client.start()
    client.attach()
    assert not client.core.virtio.status & NEEDS_RESET
    client.walk(1)
    assert len(client.ask(m.WALK, m.u32(0, 2), b"\0\0")) == 2
