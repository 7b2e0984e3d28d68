# SPDX-License-Identifier: BSD-2-Clause
"""Files between a share of a running machine and a client, in pieces.

Reading takes the files as they are between two slices. What a client writes is input of the
machine's: it is stamped, recorded, and made when its time has come.

Names are bytes; what is no UTF-8 travels as lone surrogates, as in Python's surrogateescape.
"""

from __future__ import annotations

import base64
import errno
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from manager.devices.claims import SHARES
from manager.errors import HostError, UsageError, WrongStateError
from manager.vmm.command import Argument, Call, Command

if TYPE_CHECKING:
    from manager.graph.nodes import DiskSource
    from manager.machine.share_port import SharePort
    from manager.storage.share.changes import Change
    from manager.storage.share.copy import Entry
    from manager.storage.share.tree import Tree

PART = 1 << 19
"""Bytes of files or of names in one answer, about."""
SMALL = 1 << 14
"""A file with no more bytes than this comes with its directory."""
WINDOW = 1 << 20
"""Bytes of a client's that may be on their way to the guest before it is asked to wait."""
CHANGES = 1 << 17
"""Bytes of changes in one request."""
_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
_REMEDIES = {
    errno.ENOSPC: "remove files in the guest, or begin anew: `vmmgr disk reset NAME shares.NAME`",
    errno.EISDIR: "there is a directory of that name; copy to another",
    errno.ENOTDIR: "there is a file of that name; copy to another",
    errno.ESTALE: "the guest has changed it meanwhile; copy it again",
}


def _look(call: Call) -> dict[str, Any]:
    from manager.storage.share.copy import entry_at

    port, path = _port(call, _source(call)), _path(call.arguments["path"])
    with _failures(call):
        return _entry(entry_at(port.tree, path))


def _list(call: Call) -> dict[str, Any]:
    from manager.storage.share.copy import below, entry_at

    tree, path = _port(call, _source(call)).tree, _path(call.arguments["path"])
    at = _from(call)
    with _failures(call):
        number = tree.at(path)
        slots = tree.names(number).slots
        found, used = [], 0
        while at < len(slots) and used < PART:
            child, at = slots[at], at + 1
            if child is None:
                continue
            entry = entry_at(tree, below(path, child.name))
            told = {"name": _text(child.name), **_entry(entry)}
            used += 256 + len(child.name) + len(entry.target)
            if stat.S_ISREG(entry.mode) and entry.size <= SMALL:
                data = tree.volume.read(tree.volume.node(child.node), 0, SMALL)
                told["base64"] = base64.b64encode(data).decode()
                used += len(data)
            found.append(told)
        following = at if at < len(slots) else None
        return {"entries": found, "next": following, "version": _version(tree, number)}


def _read(call: Call) -> dict[str, Any]:
    tree, path = _port(call, _source(call)).tree, _path(call.arguments["path"])
    at = _from(call)
    with _failures(call):
        number = tree.at(path)
        node = tree.volume.node(number)
        if not node.is_file:
            raise OSError(errno.EISDIR if node.is_directory else errno.EINVAL, "it is no file")
        data = tree.volume.read(node, at, PART)
        encoded = base64.b64encode(data).decode()
        return {"size": node.size, "version": _version(tree, number), "base64": encoded}


def _write(call: Call) -> dict[str, Any]:
    from manager.storage.share.changes import packed
    from manager.vmm.copying import Copying

    source, running = _source(call), call.running
    if source.mode == "read-only":
        raise UsageError(
            f"{source.title} of {running.machine.graph.name} is read-only",
            help='take mode = "overlay", or change the folder and boot again',
        )
    running.refuse_if_ending()
    port, copying = _port(call, source), call.session.copying
    if copying is not None and copying.pending and copying.port is not port:
        call.session.copying = None
        raise WrongStateError("the machine went elsewhere in time", help="copy the files again")
    if copying is None or copying.port is not port:
        copying = call.session.copying = Copying(port)
    if copying.failure is not None:
        failure, copying.failure = copying.failure, None
        with _failures(call):
            raise failure
    if running.holds.state != "running":
        raise WrongStateError(
            f"{running.machine.graph.name} stands still, and takes nothing in",
            help="let it go on: `vmmgr ctl NAME continue`",
        )
    data = packed(_change(one) for one in call.arguments["changes"])
    if len(data) > CHANGES:
        raise UsageError(f"share-write: changes may have {CHANGES} bytes at a time")
    accepted = copying.pending < WINDOW
    if accepted and data:
        copying.send(data)
    return {"accepted": accepted, "pending": copying.pending}


# -- what is asked ------------------------------------------------------------------------------


def _source(call: Call) -> DiskSource:
    """The share that is meant. Raises UsageError."""
    graph, name = call.running.machine.graph, call.arguments["share"]
    for source in graph.disks:
        if source.name == SHARES + name:
            return source
    raise UsageError(f'{graph.name} has no share "{name}"')


def _port(call: Call, source: DiskSource) -> SharePort:
    machine = call.running.machine
    for node in machine.graph.devices:
        if any(use.name == source.name for use in node.disks) and node.id in machine.share_ports:
            return machine.share_ports[node.id]
    raise UsageError(
        f"{source.title} is in no slot", help='a slot with `device = "virtio-9p"` shows it'
    )


def _path(text: object) -> bytes:
    from manager.storage.share.copy import path_of

    try:
        return path_of(_bytes(text))
    except OSError as error:
        raise UsageError(f"{text!r} is no path in a share: {error.strerror}") from None


def _bytes(text: object) -> bytes:
    if not isinstance(text, str):
        raise UsageError(f"{text!r} is no text")
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise UsageError(f"{text!r} cannot be turned into bytes") from None


def _from(call: Call) -> int:
    at: int = call.arguments.get("from", 0)
    if not 0 <= at < 1 << 63:
        raise UsageError("'from' is no place in a file or a directory")
    return at


def _change(plain: object) -> Change:
    """A change as docs/control-protocol.md has it. Raises UsageError."""
    from manager.storage.share.changes import DIRECTORY, DROP, FILE, LINK, Change

    if not isinstance(plain, dict):
        raise UsageError("share-write: a change is an object")
    get = partial(_number, plain)
    match plain:
        case {"directory": path}:
            return Change(DIRECTORY, _path(path), get("mode"))
        case {"link": path, "to": target}:
            return Change(LINK, _path(path), content=_bytes(target))
        case {"file": path, "base64": str(text)}:
            is_last = plain.get("last", True) is True
            return Change(FILE, _path(path), get("mode"), _decoded(text), get("at"), is_last)
        case {"drop": path}:
            return Change(DROP, _path(path))
    raise UsageError("share-write: a change has `directory`, `file`, `link` or `drop`")


def _number(plain: Mapping[str, Any], key: str) -> int:
    value = plain.get(key, 0)
    if type(value) is not int or not 0 <= value < 1 << 32:
        raise UsageError(f"share-write: {key!r} is to be a number below 2^32")
    return value


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise UsageError("share-write: 'base64' is not base64") from None


# -- what is answered ---------------------------------------------------------------------------


def _entry(entry: Entry) -> dict[str, Any]:
    kind = _KINDS.get(stat.S_IFMT(entry.mode), "special")
    told = {"kind": kind, "mode": stat.S_IMODE(entry.mode), "size": entry.size}
    return {**told, "target": _text(entry.target)} if kind == "link" else told


def _version(tree: Tree, number: int) -> str:
    """What changes with the content of a file or a directory."""
    node = tree.volume.node(number)
    return f"{number}.{node.generation}.{node.version}"


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


@contextmanager
def _failures(call: Call) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        at = error.filename if isinstance(error.filename, bytes) else b""
        where = _text(at) or call.arguments.get("path", "")
        help = _REMEDIES.get(error.errno or 0)
        share = call.arguments["share"]
        raise HostError(f'share "{share}": {where}: {error.strerror}', help=help) from None


_SHARE = Argument(str, "the share's name", required=True)
_PATH = Argument(str, "where in the share", required=True)

COMMANDS: Mapping[str, Command[Call]] = {
    "share-look": Command("What is at a path in a share", _look, {"share": _SHARE, "path": _PATH}),
    "share-list": Command(
        "What is in a directory of a share, in parts, small files with their content",
        _list,
        {"share": _SHARE, "path": _PATH, "from": Argument(int, "`next` of the part before")},
    ),
    "share-read": Command(
        "A part of a file in a share",
        _read,
        {"share": _SHARE, "path": _PATH, "from": Argument(int, "the first byte wanted")},
    ),
    "share-write": Command(
        "Change what is in a share, as input of the machine's; none to hear what came of it",
        _write,
        {
            "share": _SHARE,
            "changes": Argument(list, "`directory`, `file`, `link` or `drop`", required=True),
        },
    ),
}
