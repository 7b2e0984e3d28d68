# SPDX-License-Identifier: BSD-2-Clause
"""A machine's snapshots: numbered directories, and symbolic links that name some of them.

`current` and every tag are links to a directory's number. A commit writes a new directory, then
moves the link; at every instant the link leads to a whole snapshot. What no link leads to is
removed afterwards. Writers take turns by a lock on the directory itself, which the kernel drops
when a process dies.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from manager import files
from manager.errors import HostError, UsageError, WrongStateError
from manager.snapshot import save_disks, save_ram
from manager.snapshot.faults import corrupt, host_failures
from manager.snapshot.image import Image
from manager.snapshot.write import TEMP_MARK, UNTOUCHED, building, write_snapshot

CURRENT = "current"
"""The link to the snapshot that a resume takes."""
HEAD = "disks"
"""The link to what the machine's disks hold, but for the log of the process that runs it."""
_NUMBER = re.compile(r"[0-9]{6,12}")
TAG = re.compile(r"[a-z][a-z0-9._-]{0,63}")


class Store:
    """The snapshots of one machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        """The directory; made by the first commit."""

    def commit(self, image: Image, tag: str = CURRENT, *, goes_on: bool = False) -> Path:
        """Save a machine and make `tag` name the result; return its directory.

        Durable once this returns. `goes_on` says that the machine will run after this: its changed
        pages are then noted, for the next commit to be small.

        Raises HostError, and then `tag` names what it did before.
        """

        def fill(target: Path) -> None:
            written = write_snapshot(target, image, reuse=self._newest())
            done.append(lambda: save_ram.committed(image.ram, written, goes_on=goes_on))
            done.append(lambda: save_disks.committed_disks(image.disks, written))

        done: list[Callable[[], None]] = []
        target = self.add(tag, fill, head=bool(image.disks))
        for action in done:
            action()
        return target

    def add(self, tag: str, fill: Callable[[Path], None], *, head: bool = False) -> Path:
        """Have `fill` make the next numbered directory, wholly and durably, and tag it.

        With `head` it is what the machine's disks hold from now on, too.

        Raises HostError, and what `fill` does; then `tag` names what it did before.
        """
        check_tag(tag)
        with host_failures(f"cannot write snapshots to {self.root}", UNTOUCHED):
            if not self.root.is_dir():
                files.make_private(self.root)
                files.sync_directory(self.root.parent)
        with self.exclusive():
            with host_failures(f"cannot write snapshots to {self.root}", UNTOUCHED):
                target = self.root / self._next_number()
                previous = self._target(tag)
            fill(target)
            with host_failures(f"cannot make {target} the {tag} snapshot", UNTOUCHED):
                try:
                    self._point(tag, target.name)
                except BaseException:
                    with suppress(OSError):
                        self._restore_link(tag, target.name, previous)
                        shutil.rmtree(target)
                    raise
                if head and tag != HEAD:
                    self._point(HEAD, target.name)
            self._collect()
        return target

    def path(self, tag: str = CURRENT) -> Path | None:
        """The directory that `tag` names, or None if there is no such tag.

        Raises SnapshotCorruptError if it names something that is not there.
        """
        check_tag(tag)
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
        return sorted(self.links())

    def links(self) -> dict[str, str]:
        """Each tag and the name of the directory it leads to."""
        with host_failures(f"cannot read {self.root}", "check its owner and mode"):
            return dict(self._links())

    def free_tag(self) -> str:
        """A tag that is not in use: save-1, save-2, ..."""
        used = self.links()
        return next(tag for n in count(1) if (tag := f"save-{n}") not in used)

    def tag(self, tag: str, path: Path) -> None:
        """Make `tag` name the snapshot in `path`, one of this store's directories, as well.

        Raises HostError.
        """
        check_tag(tag)
        with self.exclusive(), host_failures(f"cannot tag {path}", UNTOUCHED):
            if path.parent != self.root or not path.is_dir():
                raise HostError(f"{path} is no snapshot in {self.root}")
            self._point(tag, path.name)
            self._collect()

    def discard(self, tag: str = CURRENT) -> None:
        """Forget a tag, and the snapshot if no other tag names it; a missing tag is no error."""
        check_tag(tag)
        if not self.root.is_dir():
            return
        with (
            self.exclusive(),
            host_failures(f"cannot discard {self.root / tag}", "nothing was removed"),
        ):
            if self._target(tag) is None:
                return
            (self.root / tag).unlink()
            files.sync_directory(self.root)
            self._collect()

    def collect(self) -> int:
        """Remove what no tag names and what interrupted commits left; return the bytes freed."""
        if not self.root.is_dir():
            return 0
        with self.exclusive():
            return self._collect()

    def clone(self, path: Path) -> Path:
        """Make another store's snapshot this one's current one, sharing all its files.

        Takes the same time at any size of RAM. Raises WrongStateError when there is a current
        snapshot already, HostError when the stores are on different filesystems.
        """
        if self.current() is not None:
            raise WrongStateError(f"{self.root} has a suspended state already")

        return self.take_in(path, CURRENT)

    def take_in(self, path: Path, tag: str) -> Path:
        """Make `tag` name a snapshot whose files, all that is in `path`, are shared.

        Raises HostError when `path` is on another filesystem.
        """
        return self.add(tag, lambda target: link_files(path, target))

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """No other process changes the store in the block; its directory is there."""
        with host_failures(f"cannot lock {self.root}", "check its owner and mode"):
            fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with host_failures(f"cannot lock {self.root}", "try again"):
                fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _collect(self) -> int:
        freed = 0
        with suppress(OSError):
            kept = {target for _, target in self._links()}
            for entry in list(self.root.iterdir()):
                unfinished = entry.name.startswith(".") and TEMP_MARK in entry.name
                if not (unfinished or _NUMBER.fullmatch(entry.name)) or entry.name in kept:
                    continue
                if entry.is_symlink():
                    entry.unlink()
                else:
                    freed += unique_bytes(entry)
                    shutil.rmtree(entry, ignore_errors=True)
        return freed

    def _point(self, tag: str, number: str) -> None:
        link = self.root / f".{tag}{TEMP_MARK}{os.getpid()}"
        with suppress(FileNotFoundError):
            link.unlink()
        link.symlink_to(number)
        link.replace(self.root / tag)
        files.sync_directory(self.root)

    def _restore_link(self, tag: str, failed: str, previous: str | None) -> None:
        if self._target(tag) != failed:
            return
        if previous is None:
            (self.root / tag).unlink()
            files.sync_directory(self.root)
        else:
            self._point(tag, previous)

    def _target(self, tag: str) -> str | None:
        try:
            return str((self.root / tag).readlink())
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _links(self) -> Iterator[tuple[str, str]]:
        with suppress(FileNotFoundError):
            for entry in self.root.iterdir():
                if TAG.fullmatch(entry.name) and entry.is_symlink():
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


def link_files(path: Path, target: Path) -> None:
    """Make the new directory `target` of the same files as the snapshot in `path`, durably.

    Raises HostError when they are on different filesystems.
    """
    with building(target) as temp:
        for entry in path.iterdir():
            os.link(entry, temp / entry.name, follow_symlinks=False)


def unique_bytes(directory: Path) -> int:
    """What removing a snapshot would free: blocks of files that no other snapshot has."""
    files = [entry.lstat() for entry in directory.iterdir()]
    return sum(status.st_blocks * 512 for status in files if status.st_nlink == 1)


def check_tag(tag: str) -> None:
    """Raise UsageError unless `tag` can name a snapshot."""
    if not TAG.fullmatch(tag):
        raise UsageError(
            f"{tag!r} cannot name a snapshot",
            help="use a lower-case letter, then letters, digits, '.', '_' or '-'",
        )
