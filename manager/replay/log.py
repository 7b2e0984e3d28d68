# SPDX-License-Identifier: BSD-2-Clause
"""The input log: how a run began and all that came to it from outside (docs/proof.md).

A file is eight bytes of mark, then frames: length and CRC-32 of what follows, each 32 bits,
little-endian, then one value in deterministic CBOR. The first value is the header, the others are
entries in the order of virtual time. A process that dies leaves at most its last frame torn.
"""

from __future__ import annotations

import os
import struct
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from manager import cbor, files
from manager.bus.record import NEVER, Plain
from manager.errors import HostError, SnapshotCorruptError
from manager.machine.inputs import Input
from manager.version import __version__

MARK = b"\x89VMLOG\r\n"
VERSION = 1
LIMIT = 64 << 20
"""Bytes after which a log takes nothing more."""
MOST_FRAME = 32 << 20
_GROWTH = 16
"""By which the entries of a log may be larger than their bytes in it."""
_FRAME = struct.Struct("<II")
_INPUT, _CHECK, _SAVED, _END = range(4)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Start:
    """Where a run begins: at power-on, or as a snapshot goes on."""

    snapshot: str = ""
    """The snapshot's id in hex; empty for power-on."""
    path: str = ""
    """Where it was."""
    at: int = 0
    """Virtual time in ns."""
    disks: str = ""
    """For power-on: the id of the snapshot in `path` that has what was on the disks, if any."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a replay needs to know before the first entry."""

    machine: str
    identity_hash: str
    full_hash: str
    config: Plain
    """The whole graph: manager.graph.plain."""
    images: Mapping[str, str]
    """Digests of the files that the machine boots from, by path."""
    start: Start
    records: Sequence[str]
    """The ids of the state records, in the order in which checks have their digests."""
    branch_of: str = ""
    """The name of the log that this one left at `branch_at`; empty if it left none."""
    branch_at: int = 0
    writer: str = __version__


@dataclass(frozen=True, slots=True)
class Heard:
    """What one port sent since the check before."""

    count: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Check:
    """What a replay must find when virtual time reaches `at`."""

    at: int
    ports: Mapping[str, Heard] | None
    """None where it is not known; counting begins anew then."""
    states: bytes
    """manager.replay.digests.joined of CPU and devices."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A snapshot was made; the run went on."""

    at: int
    snapshot: str
    tag: str


@dataclass(frozen=True, slots=True)
class End:
    """The run is over, or goes on from the snapshot."""

    check: Check
    reason: str
    """suspended, ended, down, ..."""
    snapshot: str = ""
    detail: str = ""
    ram: str = ""
    """Digest of all RAM; empty where the snapshot stands for it, or there was too much."""

    @property
    def at(self) -> int:
        """Virtual time in ns."""
        return self.check.at


Entry = Input | Check | Saved | End


@dataclass(slots=True)
class Log:
    """A log as it was read."""

    path: Path
    header: Header
    entries: list[Entry] = field(default_factory=list)
    torn: bool = False
    """Whether the last frame is not whole."""

    @property
    def last_at(self) -> int:
        """The virtual time up to which the run is known."""
        return max([self.header.start.at, *(entry.at for entry in self.entries)])

    @property
    def end(self) -> End | None:
        """How the run ended; None while it goes on, or when its process died."""
        return next((entry for entry in self.entries if isinstance(entry, End)), None)


class Writer:
    """Appends to a new log, readable for its owner only. What the host refuses is not raised."""

    def __init__(self, path: Path, header: Header, *, limit: int = LIMIT) -> None:
        self.path = path
        self.header = header
        self.fault = ""
        """Why the log misses entries, if it does."""
        self.size = 0
        self._limit = limit
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            raise HostError(f"{path}: cannot begin the input log: {error.strerror}") from None
        self._write(MARK + _frame(_header_plain(header)))

    def add(self, entry: Entry) -> None:
        """Append; in the kernel's hands once this returns.

        Once something could not be added nothing is: what is there stays true.
        """
        if not self.fault and self._descriptor >= 0:
            data = _frame(_plain(entry))
            if self.size + len(data) > self._limit:
                self.fault = f"the log has its {self._limit >> 20} MiB"
            else:
                self._write(data)

    def close(self) -> None:
        """Nothing more will come."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                written = os.write(self._descriptor, left)
                self.size += written
                left = left[written:]
        except OSError as error:
            self.fault = error.strerror or "cannot write"


def read(path: Path) -> Log:
    """Read a log. Raises SnapshotCorruptError; a torn end is no error."""
    try:
        data = files.read(path, LIMIT + MOST_FRAME)
    except OSError as error:
        raise SnapshotCorruptError(f"{path}: cannot be read: {error.strerror}") from None
    if not data.startswith(MARK):
        raise SnapshotCorruptError(f"{path}: is not an input log")
    header: Header | None = None
    entries: list[Entry] = []
    budget = cbor.Budget(cbor.BUDGET + _GROWTH * len(data))
    at = len(MARK)
    torn = False
    while at < len(data):
        start = at + _FRAME.size
        if start > len(data):
            torn = True
            break
        length, crc = _FRAME.unpack_from(data, at)
        body = data[start : start + length]
        if length > MOST_FRAME or len(body) < length or zlib.crc32(body) != crc:
            if length <= MOST_FRAME and start + length < len(data):
                raise SnapshotCorruptError(f"{path}: damaged at byte {at:#x}")
            torn = True
            break
        try:
            value = cbor.decode(body, budget)
            if header is None:
                header = _header(value)
            else:
                entries.append(_entry(value))
        except cbor.CborError as error:
            raise SnapshotCorruptError(f"{path}: at byte {start:#x}: {error}") from None
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise SnapshotCorruptError(
                f"{path}: at byte {start:#x}: cannot be understood: {error}"
            ) from None
        at = start + length
    if header is None:
        raise SnapshotCorruptError(f"{path}: has no header")
    return Log(path, header, entries, torn)


def _frame(value: Plain) -> bytes:
    body = cbor.encode(value)
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def _header_plain(header: Header) -> Plain:
    start = header.start
    return {
        "format": VERSION,
        "writer": header.writer,
        "machine": header.machine,
        "identity_hash": header.identity_hash,
        "full_hash": header.full_hash,
        "config": header.config,
        "images": dict(header.images),
        "start": _start_plain(start),
        "records": list(header.records),
        "branch": {"of": header.branch_of, "at": header.branch_at},
    }


def _start_plain(start: Start) -> dict[str, Plain]:
    disks: dict[str, Plain] = {"disks": start.disks} if start.disks else {}
    return {"snapshot": start.snapshot, "path": start.path, "at": start.at, **disks}


def _header(plain: Any) -> Header:
    if plain["format"] != VERSION:
        raise ValueError(f"format {plain['format']!r}; this vmmgr reads {VERSION}")
    start, branch = plain["start"], plain["branch"]
    return Header(
        machine=_is(str, plain["machine"]),
        identity_hash=_is(str, plain["identity_hash"]),
        full_hash=_is(str, plain["full_hash"]),
        config=plain["config"],
        images={path: _is(str, digest) for path, digest in plain["images"].items()},
        start=Start(
            _is(str, start["snapshot"]),
            _is(str, start["path"]),
            _moment(start["at"]),
            _is(str, start.get("disks", "")),
        ),
        records=[_is(str, record) for record in plain["records"]],
        branch_of=_is(str, branch["of"]),
        branch_at=_moment(branch["at"]),
        writer=_is(str, plain["writer"]),
    )


def _plain(entry: Entry) -> Plain:
    if isinstance(entry, Input):
        return [_INPUT, entry.at, entry.kind, entry.port, entry.data]
    if isinstance(entry, Check):
        return [_CHECK, *_check_plain(entry)]
    if isinstance(entry, Saved):
        return [_SAVED, entry.at, entry.snapshot, entry.tag]
    return [_END, *_check_plain(entry.check), entry.reason, entry.snapshot, entry.detail, entry.ram]


def _check_plain(check: Check) -> list[Plain]:
    if check.ports is None:
        return [check.at, None, check.states]
    ports: dict[str, Plain] = {
        id: [heard.count, heard.digest] for id, heard in check.ports.items() if heard.count
    }
    return [check.at, ports, check.states]


def _check(parts: Sequence[Any]) -> Check:
    at, ports, states = parts
    known = None if ports is None else {id: _heard(*heard) for id, heard in ports.items()}
    return Check(_moment(at), known, _is(bytes, states))


def _heard(count: Any, digest: Any) -> Heard:
    return Heard(_is(int, count), _is(bytes, digest))


def _entry(plain: Any) -> Entry:
    kind, *rest = plain
    if kind == _INPUT:
        at, name, port, data = rest
        return Input(_moment(at), _is(str, name), sys.intern(_is(str, port)), _is(bytes, data))
    if kind == _CHECK:
        return _check(rest)
    if kind == _SAVED:
        at, snapshot, tag = rest
        return Saved(_moment(at), _is(str, snapshot), _is(str, tag))
    if kind == _END:
        return End(_check(rest[:3]), *(_is(str, text) for text in rest[3:]))
    raise ValueError(f"entry of kind {kind!r}")


def _is(kind: type[T], value: Any) -> T:
    if type(value) is not kind:
        raise TypeError(f"{kind.__name__} expected, found {type(value).__name__}")
    return value


def _moment(value: Any) -> int:
    """A virtual time."""
    if not 0 <= _is(int, value) < NEVER:
        raise ValueError(f"{value} is no virtual time")
    return int(value)
