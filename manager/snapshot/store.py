# SPDX-License-Identifier: BSD-2-Clause
"""A machine's snapshots: numbered directories, and symbolic links that name some of them.

`current` and every tag are links to a directory's number. A commit writes a new directory, then
moves the link; at every instant the link leads to a whole snapshot. What no link leads to is
removed afterwards.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from manager.errors import UsageError
from manager.snapshot import save_ram
from manager.snapshot.faults import corrupt, host_failures
from manager.snapshot.image import Image
from manager.snapshot.write import TEMP_MARK, sync_directory, write

CURRENT = "current"
"""The link to the snapshot that a resume takes."""
_NUMBER = re.compile(r"[0-9]{6,12}")
_TAG = re.compile(r"[a-z][a-z0-9._-]{0,63}")
_UNTOUCHED = "what was saved before is untouched"


class Store:
    """The snapshots of one machine. Whoever holds the machine's lock may write to it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        """The directory; made by the first commit."""

    def commit(self, image: Image, tag: str = CURRENT, *, goes_on: bool = False) -> Path:
        """Save a machine and make `tag` name the result; return its directory.

        Durable once this returns. `goes_on` says that the machine will run after this: its changed
        pages are then noted, for the next commit to be small.

        Raises HostError, and then `tag` names what it did before.
        """
        _check_tag(tag)
        with host_failures(f"cannot write snapshots to {self.root}", _UNTOUCHED):
            if not self.root.is_dir():
                self.root.mkdir(mode=0o700, parents=True)
                sync_directory(self.root.parent)
            target = self.root / self._next_number()
            previous = self._target(tag)
        written = write(target, image, reuse=self._newest())
        with host_failures(f"cannot make {target} the {tag} snapshot", _UNTOUCHED):
            try:
                self._point(tag, target.name)
            except BaseException:
                with suppress(OSError):
                    self._restore_link(tag, target.name, previous)
                    shutil.rmtree(target)
                raise
        save_ram.committed(image.ram, written, goes_on=goes_on)
        self.collect()
        return target

    def path(self, tag: str = CURRENT) -> Path | None:
        """The directory that `tag` names, or None if there is no such tag.

        Raises SnapshotCorruptError if it names something that is not there.
        """
        _check_tag(tag)
        with host_failures(f"cannot read {self.root}", "check its owner and mode"):
            target = self._target(tag)
        if target is None:
            return None
        if not _NUMBER.fullmatch(target) or not (self.root / target).is_dir():
            raise corrupt(
                self.root / tag,
                f"leads to {target!r}, which is no snapshot",
                help="`vmmgr discard NAME` forgets it",
            )
        return self.root / target

    def current(self) -> Path | None:
        """The snapshot that a resume takes, if any."""
        return self.path(CURRENT)

    def tags(self) -> list[str]:
        """The names given to snapshots, `current` included."""
        with host_failures(f"cannot read {self.root}", "check its owner and mode"):
            return sorted(name for name, _ in self._links())

    def discard(self, tag: str = CURRENT) -> None:
        """Forget a tag, and the snapshot if no other tag names it; a missing tag is no error."""
        _check_tag(tag)
        with host_failures(f"cannot discard {self.root / tag}", "nothing was removed"):
            if self._target(tag) is None:
                return
            (self.root / tag).unlink()
            sync_directory(self.root)
        self.collect()

    def collect(self) -> None:
        """Remove what no tag names and what an interrupted commit left. Never fails."""
        with suppress(OSError):
            kept = {target for _, target in self._links()}
            for entry in list(self.root.iterdir()):
                unfinished = entry.name.startswith(".") and TEMP_MARK in entry.name
                if not (unfinished or _NUMBER.fullmatch(entry.name)) or entry.name in kept:
                    continue
                if entry.is_symlink():
                    entry.unlink()
                else:
                    shutil.rmtree(entry, ignore_errors=True)

    def _point(self, tag: str, number: str) -> None:
        link = self.root / f".{tag}{TEMP_MARK}{os.getpid()}"
        with suppress(FileNotFoundError):
            link.unlink()
        link.symlink_to(number)
        link.replace(self.root / tag)
        sync_directory(self.root)

    def _restore_link(self, tag: str, failed: str, previous: str | None) -> None:
        if self._target(tag) != failed:
            return
        if previous is None:
            (self.root / tag).unlink()
            sync_directory(self.root)
        else:
            self._point(tag, previous)

    def _target(self, tag: str) -> str | None:
        try:
            return str((self.root / tag).readlink())
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _links(self) -> Iterator[tuple[str, str]]:
        """Each tag and the number it leads to."""
        with suppress(FileNotFoundError):
            for entry in self.root.iterdir():
                if _TAG.fullmatch(entry.name) and entry.is_symlink():
                    yield entry.name, str(entry.readlink())

    def _numbers(self) -> list[str]:
        """The numbers in use, whether by a directory or by a link."""
        names = [entry.name for entry in self.root.iterdir() if not entry.is_symlink()]
        names += [target for _, target in self._links()]
        return sorted((name for name in names if _NUMBER.fullmatch(name)), key=int)

    def _next_number(self) -> str:
        return f"{int(max(self._numbers(), key=int, default='0')) + 1:06}"

    def _newest(self) -> Path | None:
        kept = {target for _, target in self._links()}
        numbers = [number for number in self._numbers() if number in kept]
        return self.root / numbers[-1] if numbers else None


def _check_tag(tag: str) -> None:
    if not _TAG.fullmatch(tag):
        raise UsageError(
            f"{tag!r} cannot name a snapshot",
            help="use a lower-case letter, then letters, digits, '.', '_' or '-'",
        )
