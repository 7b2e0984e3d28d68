# SPDX-License-Identifier: BSD-2-Clause
"""A lab's snapshot as one file, back from one, and copied under another name.

The file is an archive as a machine's: the lab's record first, then for each machine of it, in the
order of their names, a folder with its snapshot.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from manager import files
from manager.errors import WrongStateError
from manager.lab.saved import LARGEST, RECORD, LabRecord, LabSnapshot, decode
from manager.snapshot import archive
from manager.snapshot.check import Advance, unwatched
from manager.snapshot.faults import host_failures
from manager.snapshot.store import CURRENT, Store, link_files
from manager.snapshot.write import TEMP_MARK, UNTOUCHED
from manager.state.lab import lab_store
from manager.state.saved import drop_orphans

if TYPE_CHECKING:
    from manager.state.paths import MachinePaths


def is_lab_archive(file: Path) -> bool:
    """Whether the archive `file` holds a lab. Raises HostError."""
    return archive.first_name(file) == RECORD


def export_lab(snapshot: LabSnapshot, file: Path, advance: Advance = unwatched) -> None:
    """Write all of a lab's snapshot to the new file `file`, durably; RAM is checked on the way.

    Raises SnapshotCorruptError, HostError.
    """

    def parts() -> Iterator[bytes]:
        yield from archive.file_parts(RECORD, (snapshot.directory / RECORD).read_bytes())
        for name, member in sorted(snapshot.machines.items()):
            yield from archive.parts(member, name)

    archive.write(file, parts(), advance)


def import_lab(
    file: Path, lab: MachinePaths, tag: str = CURRENT, advance: Advance = unwatched
) -> Path:
    """Make the lab in the archive `file` the snapshot `tag` of `lab`, wholly checked.

    Raises SnapshotCorruptError for anything but what `export_lab` writes, HostError; then `tag`
    names what it did before.
    """

    def put(own_tag: str) -> tuple[LabRecord, Mapping[str, Path]]:
        temp = lab.snapshots / f".{own_tag}{TEMP_MARK}{os.getpid()}"
        with host_failures(f"cannot write {temp}", UNTOUCHED):
            try:
                shutil.rmtree(temp, ignore_errors=True)
                temp.mkdir(mode=0o700)
                record, names = _unpack(file, temp, advance)
                # Only what is whole comes among the machines' snapshots.
                _make_those_over(lab, record)
                return record, {name: _adopt(lab, name, own_tag, temp / name) for name in names}
            finally:
                shutil.rmtree(temp, ignore_errors=True)

    return _add(lab, tag, put)


def _unpack(file: Path, target: Path, advance: Advance) -> tuple[LabRecord, list[str]]:
    """Write a folder for each machine of an archive into `target`; the record, their names."""
    with archive.unpacking(file, advance) as unpacking:
        record, ids = decode(file, unpacking.small(RECORD, LARGEST))
        if not ids:
            raise unpacking.fault("all machines of the lab are over")
        for name, id in sorted(ids.items()):
            folder = target / name
            folder.mkdir(mode=0o700)
            part = unpacking.snapshot(folder, name)
            if part.id != id or part.header.virtual_time < record.now:
                raise unpacking.fault(f"the state of {name} is not the one saved with the lab")
            files.sync_directory(folder)
    return record, sorted(ids)


def _adopt(lab: MachinePaths, name: str, tag: str, folder: Path) -> Path:
    """Make a folder one of a machine's snapshots."""

    def fill(target: Path) -> None:
        folder.replace(target)

    return _store(lab, name).add(tag, fill)


def _add(
    lab: MachinePaths, tag: str, put: Callable[[str], tuple[LabRecord, Mapping[str, Path]]]
) -> Path:
    """See LabStore.add; what a failure leaves goes at once."""
    try:
        return lab_store(lab).add(tag, put)
    except BaseException:
        drop_orphans(lab)
        raise


def _make_those_over(lab: MachinePaths, record: LabRecord) -> None:
    """Machines that are over are part of the lab, though there is nothing to go on from."""
    for name in record.over:
        lab.member(name).make()


def _store(lab: MachinePaths, name: str) -> Store:
    member = lab.member(name)
    member.make()
    return Store(member.snapshots)


def clone_lab(snapshot: LabSnapshot, lab: MachinePaths) -> Path:
    """Make a lab's snapshot the suspended state of another lab, sharing all its files.

    Raises WrongStateError when that has one already, HostError when it is on another filesystem.
    """
    if Store(lab.snapshots).current() is not None:
        raise WrongStateError(f"{lab.name} has a suspended state already")

    def put(own_tag: str) -> tuple[LabRecord, Mapping[str, Path]]:
        saved = {
            name: _store(lab, name).add(own_tag, partial(link_files, one.directory))
            for name, one in snapshot.machines.items()
        }
        _make_those_over(lab, snapshot.record)
        return snapshot.record, saved

    return _add(lab, CURRENT, put)
