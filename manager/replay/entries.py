# SPDX-License-Identifier: BSD-2-Clause
"""What an input log holds: how a run began, and all that came to it from outside (docs/proof.md).

Each has a plain form, which is what the file has of it (log.py).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from manager.bus.record import NEVER, Plain
from manager.lazy import dataclass
from manager.machine.inputs import Input
from manager.version import __version__

VERSION = 1
"""Of the plain form below."""
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
    together: str = ""
    """The same in all logs of a lab that were begun at once, and later ones sort after it."""
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


def header_to_plain(header: Header) -> Plain:
    """The first value of a log."""
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
        **({"together": header.together} if header.together else {}),
    }


def _start_plain(start: Start) -> dict[str, Plain]:
    disks: dict[str, Plain] = {"disks": start.disks} if start.disks else {}
    return {"snapshot": start.snapshot, "path": start.path, "at": start.at, **disks}


def header_from_plain(plain: Any) -> Header:
    """Read it. Raises ValueError, TypeError, LookupError for what is none."""
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
        together=_is(str, plain.get("together", "")),
        writer=_is(str, plain["writer"]),
    )


def entry_to_plain(entry: Entry) -> Plain:
    """Each other value of a log."""
    if isinstance(entry, Input):
        wired: list[Plain] = [True] if entry.wired else []
        return [_INPUT, entry.at, entry.kind, entry.port, entry.data, *wired]
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


def entry_from_plain(plain: Any) -> Entry:
    """Read it. Raises ValueError, TypeError for what is none."""
    kind, *rest = plain
    if kind == _INPUT:
        at, name, port, data, *wired = rest
        port = sys.intern(_is(str, port))
        return Input(_moment(at), _is(str, name), port, _is(bytes, data), wired == [True])
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
