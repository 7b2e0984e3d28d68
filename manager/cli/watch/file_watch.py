# SPDX-License-Identifier: BSD-2-Clause
"""Which files change in some folders, told by the kernel (inotify), without looking again."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from inotify_simple import INotify, flags

from manager.errors import HostError

_MASK = (
    flags.CLOSE_WRITE
    | flags.MOVED_TO
    | flags.MOVED_FROM
    | flags.DELETE
    | flags.CREATE
    | flags.ONLYDIR
    | flags.EXCL_UNLINK
)


class FileWatch:
    """Hears of files that were written, moved or removed. Its descriptor can be selected on."""

    def __init__(self) -> None:
        try:
            self._inotify = INotify(nonblocking=True)
        except OSError as error:
            raise HostError(f"cannot watch files: {error.strerror}") from None
        self._folders: dict[int, Path] = {}
        self._deep: set[int] = set()
        """Watches of folders whose new folders are watched too."""

    def fileno(self) -> int:
        """The descriptor."""
        return int(self._inotify.fileno())

    def file(self, path: Path) -> None:
        """Watch a file, there or not, and the one it is a link to. Raises HostError."""
        for place in {Path(os.path.abspath(path)), Path(os.path.realpath(path))}:  # noqa: PTH100 - keeps links
            if place.parent.is_dir():
                self._folder(place.parent)

    def tree(self, root: Path) -> None:
        """Watch a folder and all below it; names that begin with a dot are left out.

        Raises HostError.
        """
        for folder, below, _ in os.walk(root):
            below[:] = [name for name in below if not name.startswith(".")]
            self._deep.add(self._folder(Path(folder)))

    def changed(self) -> set[Path]:
        """What has changed since the last call."""
        found: set[Path] = set()
        for event in self._inotify.read(timeout=0):
            if event.mask & flags.Q_OVERFLOW:
                found |= set(self._folders.values())  # anything may have
                continue
            folder = self._folders.get(event.wd)
            if folder is None or not event.name:
                continue
            path = folder / event.name
            if not event.mask & flags.ISDIR:
                found.add(path)
            elif event.wd in self._deep and event.mask & (flags.CREATE | flags.MOVED_TO):
                found |= self._new_folder(path)
        return found

    def close(self) -> None:
        """Watch nothing any more."""
        self._inotify.close()

    def _new_folder(self, path: Path) -> set[Path]:
        """Watch it too; what came into it before that has changed as well."""
        if path.name.startswith("."):
            return set()
        self.tree(path)
        return {file for file in path.rglob("*") if file.is_file()}

    def _folder(self, path: Path) -> int:
        try:
            watch = int(self._inotify.add_watch(path, _MASK))
        except OSError as error:
            help = None
            if error.errno == errno.ENOSPC:
                help = "raise the limit: `sysctl fs.inotify.max_user_watches=1000000`"
            raise HostError(f"{path}: cannot watch it: {error.strerror}", help=help) from None
        self._folders[watch] = path
        return watch
