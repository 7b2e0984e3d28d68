# SPDX-License-Identifier: BSD-2-Clause
"""The input logs of one machine: numbered files, each from a start to a suspend, fork or end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import field, replace
from pathlib import Path

from manager import files
from manager.bus.record import Plain
from manager.errors import WrongStateError
from manager.lazy import dataclass
from manager.machine.inputs import Input
from manager.replay.entries import End, Entry, Header
from manager.replay.log import Log, Writer, read

KEPT = 32
"""Logs that are kept; the oldest goes first."""
_NAME = re.compile(r"[0-9]{6}\.vmlog")


@dataclass(slots=True)
class Story:
    """A run as it was recorded, from its earliest start that is known to its present."""

    header: Header
    """Of its first log, with the machine's files where the last log has them."""
    config: Plain
    """The machine, as the last log has it."""
    entries: list[Entry] = field(default_factory=list)
    logs: list[Path] = field(default_factory=list)
    torn: bool = False

    @property
    def last_at(self) -> int:
        """The virtual time up to which the run is known, in ns."""
        return max([self.header.start.at, *(entry.at for entry in self.entries)])


def begin(directory: Path, header: Header) -> Writer:
    """A new log. Raises HostError."""
    found = logs(directory)
    for old in found[: max(0, len(found) + 1 - KEPT)]:
        with suppress(OSError):
            old.unlink()
    number = int(found[-1].stem) + 1 if found else 1
    return Writer(directory / f"{number:06}.vmlog", header)


def identity_of(snapshot: Path) -> str:
    """The id of the snapshot in a directory, in hex; empty when it cannot be read."""
    from manager.snapshot import preamble
    from manager.snapshot.write import FILE_NAME

    with suppress(OSError, preamble.PreambleError):
        return preamble.parse(files.head(snapshot / FILE_NAME, preamble.SIZE)).manifest_hash.hex()
    return ""


def logs(directory: Path) -> list[Path]:
    """The logs that there are, oldest first."""
    with suppress(OSError):
        return sorted(entry for entry in directory.iterdir() if _NAME.fullmatch(entry.name))
    return []


def story(path: Path) -> Story:
    """The run that a log belongs to, up to its end; `path` may be the directory: its newest log.

    Logs before it are put in front, as long as each ends in the snapshot that the next begins
    with. Raises WrongStateError when there is none, SnapshotCorruptError.
    """
    if path.is_dir():
        found = logs(path)
        if not found:
            raise WrongStateError(
                f"{path}: nothing was recorded", help="`vmmgr up` records unless `[record]` says no"
            )
        path = found[-1]
    return joined(chain(path))


def chain(path: Path) -> list[Log]:
    """The log at `path`, and those before it of which each ends in the snapshot of the next.

    Raises SnapshotCorruptError.
    """
    chain = [read(path)]
    earlier = [log for log in logs(path.parent) if log.name < path.name]
    while chain[0].header.start.snapshot and earlier:
        before = _ending_in(chain[0].header.start.snapshot, earlier)
        if before is None:
            break
        earlier = [log for log in earlier if log.name < before.path.name]
        chain.insert(0, before)
    return chain


def joined(chain: Sequence[Log]) -> Story:
    """The run that these logs are of, one after the other."""
    header, newest = chain[0].header, chain[-1].header
    if newest.identity_hash == header.identity_hash:  # its files may have been moved since
        header = replace(header, config=newest.config, images=newest.images)
    told = Story(header, newest.config, torn=chain[-1].torn)
    for log in chain:
        told.entries += log.entries
        told.logs.append(log.path)
        if log is not chain[-1] and isinstance(end := told.entries[-1], End):
            told.entries[-1] = end.check  # and the run goes on
    return told


def _ending_in(snapshot: str, candidates: list[Path]) -> Log | None:
    """The newest of the logs whose run was saved as `snapshot` at its end."""
    for path in reversed(candidates):
        log = read(path)
        if log.end is not None and log.end.snapshot == snapshot:
            return log
    return None


def inputs(told: Story) -> list[Input]:
    """What came from outside, in order."""
    return [entry for entry in told.entries if isinstance(entry, Input)]
