# SPDX-License-Identifier: BSD-2-Clause
"""What each request of 9P2000.L does to a share.

The guest's kernel checks permissions, by modes and owners as it sees them; here only a read-only
share says no. It also arbitrates locks between its processes, so each is granted: a share has one
guest. There are no extended attributes.

Long because all requests are in one place.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable, Iterator

from manager.devices.virtio_9p import messages as m
from manager.devices.virtio_9p.fids import (
    APPENDING,
    OPEN,
    READABLE,
    WRITABLE,
    Fid,
    Fids,
    SessionState,
)
from manager.storage.share.blocks import Blocks
from manager.storage.share.changes import make, unpacked
from manager.storage.share.layout import (
    MAX_NAME,
    MAX_NODES,
    MAX_TARGET,
    NANOSECONDS,
    TOP,
    Node,
    failure,
)
from manager.storage.share.tree import Child, New, Tree
from manager.storage.share.volume import Volume

MOST, LEAST = 512 << 10, 4096
"""Bytes of a message that can be agreed on."""
UNAGREED = 8192
"""What a message may have before that."""
MAX_WALK = 16
V9FS_MAGIC = 0x01021997

ACCESS, WRONLY, RDWR = 3, 1, 2
EXCL, TRUNC, APPEND, DIRECTORY = 0o200, 0o1000, 0o2000, 0o200000
"""Flags of Tlopen and Tlcreate."""
AT_REMOVEDIR = 0x200
SET_MODE, SET_UID, SET_GID, SET_SIZE, SET_ATIME, SET_MTIME, SET_CTIME = (1 << n for n in range(7))
ATIME_GIVEN, MTIME_GIVEN = 1 << 7, 1 << 8
"""Bits of Tsetattr."""
UNLOCKED = 2
MAX_TIME = (1 << 63) - 1
_SPECIAL = (stat.S_IFREG, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK)


class Files:
    """A client's view of a share. `now` is the time that files get, ns since 1970."""

    def __init__(self, blocks: Blocks, now: Callable[[], int]) -> None:
        self._fids = Fids()
        self._volume = Volume(blocks, self._fids.nodes)
        self.tree = Tree(self._volume)
        self._now = now
        self._requests: dict[int, Callable[[m.Body, int], bytes]] = {
            m.VERSION_OF: self._version,
            m.AUTH: self._refuse,
            m.ATTACH: self._attach,
            m.FLUSH: self._flush,
            m.WALK: self._walk,
            m.CLUNK: self._clunk,
            m.REMOVE: self._remove,
            m.LOPEN: self._open,
            m.LCREATE: self._create,
            m.READ: self._read,
            m.WRITE: self._write,
            m.READDIR: self._readdir,
            m.FSYNC: self._fsync,
            m.GETATTR: self._getattr,
            m.SETATTR: self._setattr,
            m.STATFS: self._statfs,
            m.READLINK: self._readlink,
            m.MKDIR: self._mkdir,
            m.SYMLINK: self._symlink,
            m.MKNOD: self._mknod,
            m.LINK: self._link,
            m.UNLINKAT: self._unlinkat,
            m.RENAME: self._rename,
            m.RENAMEAT: self._renameat,
            m.LOCK: self._lock,
            m.GETLOCK: self._getlock,
            m.XATTRWALK: self._xattr_walk,
            m.XATTRCREATE: self._xattr_create,
        }

    def adopt(self, state: SessionState) -> None:
        """Take over a client's state, and whatever the blocks hold then."""
        self._fids.adopt(state)
        self.tree.forget()

    @property
    def session(self) -> SessionState:
        """What a client has open."""
        return self._fids.state

    @property
    def limit(self) -> int:
        """Bytes that a message may have."""
        return min(max(self._fids.state.msize, UNAGREED), MOST)

    def answer(self, kind: int, body: bytes, most: int) -> bytes:
        """What is in the answer to a request; `most` is the room for data.

        Raises OSError with the number for Rlerror.
        """
        request = self._requests.get(kind)
        if request is None:
            raise failure(errno.EOPNOTSUPP)
        if not self._fids.state.msize and kind not in (m.VERSION_OF, m.FLUSH):
            raise failure(errno.EINVAL)
        return request(m.Body(body), most)

    def end_session(self) -> None:
        """Drop all that the client has open."""
        self._fids.state.msize = 0
        for node in self._fids.clear():
            self._release(node)

    def change(self, data: bytes) -> None:
        """Make changes of the host's, packed; files get the guest's time. Raises OSError."""
        for change in unpacked(data):
            make(self.tree, change, self._now(), self._release)

    # -- the session ----------------------------------------------------------------------------

    def _version(self, body: m.Body, most: int) -> bytes:
        msize, version = body.u32(), body.string()
        if msize < LEAST:
            raise failure(errno.EMSGSIZE)
        self.end_session()
        agreed = min(msize, MOST)
        if version != m.VERSION:
            return m.u32(agreed) + m.string(b"unknown")
        self._fids.state.msize = agreed
        return m.u32(agreed) + m.string(version)

    def _refuse(self, body: m.Body, most: int) -> bytes:
        raise failure(errno.EOPNOTSUPP)

    def _attach(self, body: m.Body, most: int) -> bytes:
        number, authentic = body.u32(), body.u32()
        body.string()  # a user's name
        body.string()  # what to attach to: there is one tree
        uid = body.u32()
        if authentic != m.NO_FID:
            raise failure(errno.EBADF)
        self._require_new(number)
        top = self._volume.node(TOP)
        self._fids.put(Fid(number, TOP, TOP, -1, uid if uid != m.NO_FID else 0))
        return m.qid(TOP, top)

    def _flush(self, body: m.Body, most: int) -> bytes:
        body.u16()  # that request has been answered: they are served one after the other
        return b""

    def _walk(self, body: m.Body, most: int) -> bytes:
        number, new, count = body.u32(), body.u32(), body.u16()
        fid = self._fids[number]
        if count > MAX_WALK:
            raise failure(errno.EINVAL)
        names = [body.string() for _ in range(count)]
        if new != number:
            self._require_new(new)
        qids: list[bytes] = []
        found = fid._replace(number=new, use=0)
        try:
            for name in names:
                found = self._step(found, name)
                qids.append(m.qid(found.node, self._volume.node(found.node)))
        except OSError:
            if not qids:
                raise
        if len(qids) == count:
            self._put(found)
        return len(qids).to_bytes(2, "little") + b"".join(qids)

    def _step(self, fid: Fid, name: bytes) -> Fid:
        node = self._volume.node(fid.node)
        if not node.is_directory:
            raise failure(errno.ENOTDIR)
        if name == b"..":
            return fid._replace(node=node.parent, directory=node.parent, slot=-1)
        if name == b".":
            return fid
        child = self.tree.find(fid.node, name)
        return fid._replace(node=child.node, directory=fid.node, slot=child.slot)

    def _clunk(self, body: m.Body, most: int) -> bytes:
        self._drop(body.u32())
        return b""

    # -- content --------------------------------------------------------------------------------

    def _open(self, body: m.Body, most: int) -> bytes:
        fid, flags = self._fids[body.u32()], body.u32()
        node = self._volume.node(fid.node)
        self._put(fid._replace(use=self._use(node, flags)))
        if node.is_file and flags & TRUNC and flags & ACCESS in (WRONLY, RDWR):
            self._resize(fid.node, node, 0)
        return m.qid(fid.node, node) + m.u32(0)

    def _use(self, node: Node, flags: int) -> int:
        """What a file may be used for that is opened with these flags."""
        writes = flags & ACCESS in (WRONLY, RDWR)
        if node.is_link:
            raise failure(errno.ELOOP)
        if node.is_directory and writes:
            raise failure(errno.EISDIR)
        if not node.is_directory:
            if flags & DIRECTORY:
                raise failure(errno.ENOTDIR)
            if not node.is_file:
                raise failure(errno.ENXIO)
        if writes:
            self._volume.require_writable()
        use = OPEN | (WRITABLE if writes else 0) | (APPENDING if flags & APPEND else 0)
        return use | (READABLE if flags & ACCESS != WRONLY else 0)

    def _create(self, body: m.Body, most: int) -> bytes:
        fid, name = self._fids[body.u32()], body.string()
        flags, mode, gid = body.u32(), body.u32(), body.u32()
        if fid.use:
            raise failure(errno.EINVAL)
        there = self.tree.names(fid.node).names.get(name)
        if there is None:
            new = New(stat.S_IFREG | mode & 0o7777, fid.uid, gid)
            there = self.tree.create(fid.node, name, new, self._now())
        elif flags & EXCL:
            raise failure(errno.EEXIST)
        node = self._volume.node(there.node)
        use = self._use(node, flags)
        self._put(Fid(fid.number, there.node, fid.node, there.slot, fid.uid, use))
        if flags & TRUNC and use & WRITABLE and node.size:
            self._resize(there.node, node, 0)
        return m.qid(there.node, node) + m.u32(0)

    def _read(self, body: m.Body, most: int) -> bytes:
        fid, offset, count = self._fids[body.u32()], body.u64(), body.u32()
        if not fid.use & READABLE:
            raise failure(errno.EBADF)
        node = self._volume.node(fid.node)
        if node.is_directory:
            raise failure(errno.EISDIR)
        data = self._volume.read(node, offset, min(count, most))
        return m.u32(len(data)) + data

    def _write(self, body: m.Body, most: int) -> bytes:
        fid, offset, count = self._fids[body.u32()], body.u64(), body.u32()
        data = body.take(count)
        if not fid.use & WRITABLE:
            raise failure(errno.EBADF)
        node = self._volume.node(fid.node)
        if fid.use & APPENDING:
            offset = node.size
        if data:
            self._volume.write(fid.node, node, offset, data, self._now())
        return m.u32(count)

    def _readdir(self, body: m.Body, most: int) -> bytes:
        fid, offset, count = self._fids[body.u32()], body.u64(), body.u32()
        if not fid.use & OPEN:
            raise failure(errno.EBADF)
        found = m.concatenated(self._entries(fid.node, offset), min(count, most))
        return m.u32(len(found)) + found

    def _entries(self, number: int, offset: int) -> Iterator[bytes]:
        """The names from `offset` on: ".", ".." and then those at their places."""
        directory = self._volume.node(number)
        slots = self.tree.names(number).slots
        if offset == 0:
            yield m.entry(number, directory, 1, b".")
        if offset <= 1:
            parent = self._volume.node(directory.parent)
            yield m.entry(directory.parent, parent, 2, b"..")
        for slot in range(max(0, offset - 2), len(slots)):
            child = slots[slot]
            if child is not None:
                yield m.entry(child.node, self._volume.node(child.node), slot + 3, child.name)

    def _fsync(self, body: m.Body, most: int) -> bytes:
        self._fids[body.u32()]  # what was written is kept already
        return b""

    # -- attributes -----------------------------------------------------------------------------

    def _getattr(self, body: m.Body, most: int) -> bytes:
        fid = self._fids[body.u32()]
        body.u64()  # which ones: all that there are can be had
        return m.attributes(fid.node, self._volume.node(fid.node))

    def _setattr(self, body: m.Body, most: int) -> bytes:
        fid, which = self._fids[body.u32()], body.u32()
        mode, uid, gid, size = body.u32(), body.u32(), body.u32(), body.u64()
        atime, mtime = (_time(body.u64(), body.u64()) for _ in range(2))
        self._volume.require_writable()
        node, now = self._volume.node(fid.node), self._now()
        if which & SET_SIZE:
            if not node.is_file:
                raise failure(errno.EISDIR if node.is_directory else errno.EINVAL)
            self._resize(fid.node, node, size)
        if which & SET_MODE:
            node.mode = stat.S_IFMT(node.mode) | mode & 0o7777
        if which & SET_UID:
            node.uid = uid
        if which & SET_GID:
            node.gid = gid
        if which & SET_ATIME:
            node.atime = atime if which & ATIME_GIVEN else now
        if which & SET_MTIME:
            node.mtime = mtime if which & MTIME_GIVEN else now
        node.ctime = now
        self._volume.store(fid.node, node)
        return b""

    def _statfs(self, body: m.Body, most: int) -> bytes:
        self._fids[body.u32()]
        total, free = self._volume.room()
        numbers = (total, free, free, MAX_NODES, MAX_NODES - self._volume.nodes, 0)
        sizes = m.u32(V9FS_MAGIC, m.BLOCK_SIZE)
        return sizes + b"".join(n.to_bytes(8, "little") for n in numbers) + m.u32(MAX_NAME)

    def _readlink(self, body: m.Body, most: int) -> bytes:
        fid = self._fids[body.u32()]
        return m.string(self.tree.target(self._volume.node(fid.node)))

    def _xattr_walk(self, body: m.Body, most: int) -> bytes:
        self._fids[body.u32()]
        raise failure(errno.EOPNOTSUPP)

    def _xattr_create(self, body: m.Body, most: int) -> bytes:
        self._fids[body.u32()]
        raise failure(errno.EOPNOTSUPP)

    # -- names ----------------------------------------------------------------------------------

    def _mkdir(self, body: m.Body, most: int) -> bytes:
        fid, name = self._fids[body.u32()], body.string()
        mode, gid = body.u32(), body.u32()
        return self._made(fid, name, New(stat.S_IFDIR | mode & 0o7777, fid.uid, gid))

    def _symlink(self, body: m.Body, most: int) -> bytes:
        fid, name, target, gid = self._fids[body.u32()], body.string(), body.string(), body.u32()
        if not target or b"\0" in target:
            raise failure(errno.EINVAL)
        if len(target) > MAX_TARGET:
            raise failure(errno.ENAMETOOLONG)
        return self._made(fid, name, New(stat.S_IFLNK | 0o777, fid.uid, gid), target)

    def _mknod(self, body: m.Body, most: int) -> bytes:
        fid, name = self._fids[body.u32()], body.string()
        mode, major, minor, gid = body.u32(), body.u32(), body.u32(), body.u32()
        if stat.S_IFMT(mode) not in _SPECIAL:
            raise failure(errno.EINVAL)
        kind = stat.S_IFMT(mode) | mode & 0o7777
        return self._made(fid, name, New(kind, fid.uid, gid, major, minor))

    def _made(self, fid: Fid, name: bytes, new: New, content: bytes = b"") -> bytes:
        child = self.tree.create(fid.node, name, new, self._now(), content)
        return m.qid(child.node, self._volume.node(child.node))

    def _link(self, body: m.Body, most: int) -> bytes:
        directory, fid, name = self._fids[body.u32()], self._fids[body.u32()], body.string()
        self.tree.link(directory.node, name, fid.node, self._now())
        return b""

    def _unlinkat(self, body: m.Body, most: int) -> bytes:
        fid, name, flags = self._fids[body.u32()], body.string(), body.u32()
        self._unlink(fid.node, name, is_directory=bool(flags & AT_REMOVEDIR))
        return b""

    def _remove(self, body: m.Body, most: int) -> bytes:
        fid = self._fids[body.u32()]
        try:
            directory, child = self._named(fid)
            is_directory = self._volume.node(fid.node).is_directory
            self._unlink(directory, child.name, is_directory=is_directory)
        finally:  # the fid is gone either way
            self._drop(fid.number)
        return b""

    def _rename(self, body: m.Body, most: int) -> bytes:
        fid, to, name = self._fids[body.u32()], self._fids[body.u32()], body.string()
        directory, child = self._named(fid)
        self._move(directory, child.name, to.node, name)
        return b""

    def _renameat(self, body: m.Body, most: int) -> bytes:
        old, name = self._fids[body.u32()], body.string()
        new, new_name = self._fids[body.u32()], body.string()
        self._move(old.node, name, new.node, new_name)
        return b""

    def _named(self, fid: Fid) -> tuple[int, Child]:
        """The directory that a fid's file is in, and its name there."""
        node = self._volume.node(fid.node)
        if fid.node == TOP:
            raise failure(errno.EBUSY)
        directory = node.parent if node.is_directory else fid.directory
        return directory, self.tree.name_of(directory, fid.node, fid.slot)

    def _move(self, old: int, name: bytes, new: int, new_name: bytes) -> None:
        replaced = self.tree.rename(old, name, new, new_name, self._now())
        if replaced is not None:
            self._release(replaced)

    def _unlink(self, directory: int, name: bytes, *, is_directory: bool) -> None:
        node = self.tree.unlink(directory, name, self._now(), is_directory=is_directory)
        self._release(node)

    # -- locks ----------------------------------------------------------------------------------

    def _lock(self, body: m.Body, most: int) -> bytes:
        self._fids[body.u32()]
        return bytes(1)  # granted

    def _getlock(self, body: m.Body, most: int) -> bytes:
        self._fids[body.u32()]
        body.number(1)
        rest = body.take(8 + 8 + 4)  # start, length, process
        return bytes([UNLOCKED]) + rest + m.string(body.string())

    # -- fids -----------------------------------------------------------------------------------

    def _require_new(self, number: int) -> None:
        if number in self._fids or number == m.NO_FID:
            raise failure(errno.EBADF)

    def _put(self, fid: Fid) -> None:
        lost = self._fids.put(fid)
        if lost is not None:
            self._release(lost)

    def _drop(self, number: int) -> None:
        lost = self._fids.drop(number)
        if lost is not None:
            self._release(lost)

    def _release(self, node: int) -> None:
        """Free a node that has no name, once no fid is for it."""
        if self._volume.read_only or self._fids.uses(node):
            return
        try:
            self.tree.release(node)
        except OSError:  # the host's failure; it is freed when the share is next looked through
            return

    def _resize(self, number: int, node: Node, size: int) -> None:
        self._volume.truncate(node, size)
        node.mtime = node.ctime = self._now()
        self._volume.store(number, node)


def _time(seconds: int, nanoseconds: int) -> int:
    return min(seconds * NANOSECONDS + nanoseconds, MAX_TIME)
