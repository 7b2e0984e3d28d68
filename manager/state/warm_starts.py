# SPDX-License-Identifier: BSD-2-Clause
"""Machines as they were when they got ready, so that the next `up` need not boot them.

An entry is a directory named after all that decided how the machine got there (decided.py), with
what it was waited for. It holds a snapshot and what the ports had sent. An entry appears whole or
not at all.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from manager import files
from manager.errors import HostError, VmmgrError
from manager.lazy import dataclass
from manager.state.paths import state_home

if TYPE_CHECKING:
    from manager.snapshot.image import Image
    from manager.snapshot.read import Snapshot

LIMIT = 4 << 30
"""Bytes that all entries may take on disk; $VMMGR_CACHE_SIZE, in MiB, overrides it."""
MOST_OUTPUT = 256 << 20
"""Bytes of a port's output that are taken from an entry."""
_STATE = "state"
_ABOUT = "about.json"
_PORTS = "ports"
_MAKING = ".making-"


@dataclass(frozen=True, slots=True)
class WarmStart:
    """One machine that is ready."""

    key: str
    path: Path
    machine: str
    virtual_time: int
    """When it got ready, in ns."""
    size: int
    """Bytes on disk."""
    used_at: float
    """When it was last made or taken: seconds since 1970."""
    detail: str = ""
    """The line that it was waited for."""

    @property
    def snapshot(self) -> Path:
        """The directory of its snapshot."""
        return self.path / _STATE

    def output(self) -> dict[str, bytes]:
        """What each port had sent."""
        folder = self.path / _PORTS
        with suppress(OSError):
            return {path.name: files.read_own(path, MOST_OUTPUT) for path in folder.iterdir()}
        return {}

    def remove(self) -> None:
        """Take it from the cache. A machine that runs from it keeps its files mapped."""
        shutil.rmtree(self.path, ignore_errors=True)


def warm_starts_directory() -> Path:
    """Where they are kept. Raises HostError."""
    return state_home() / ".ready"


class WarmStarts:
    """The entries in one directory."""

    def __init__(self, root: Path, limit: int | None = None) -> None:
        self.root = root
        self._limit = _limit() if limit is None else limit

    def find(self, key: str) -> tuple[WarmStart, Snapshot] | None:
        """The entry of that key, which counts as used now. A damaged one is removed."""
        from manager.snapshot.read import open_snapshot

        entry = _look(self.root / key)
        if entry is None:
            return None
        try:
            opened = open_snapshot(entry.snapshot)
            os.utime(entry.path)
        except (VmmgrError, OSError):
            self._remove(entry.path)
            return None
        return entry, opened

    def add(
        self, key: str, image: Image, ports: Mapping[str, bytes], detail: str
    ) -> WarmStart | None:
        """Keep a machine; None when it is larger than the cache may be. Raises HostError."""
        from manager.snapshot.write import write_snapshot

        target = self.root / key
        temp = self.root / f"{_MAKING}{key}-{os.getpid()}"
        try:
            files.make_private(self.root)
            self._remove(temp)
            temp.mkdir(mode=0o700)
            write_snapshot(temp / _STATE, image)
            (temp / _PORTS).mkdir(mode=0o700)
            for port, data in ports.items():
                files.replace(temp / _PORTS / port, data)
            about = {
                "schema": 1,
                "machine": image.machine,
                "virtual_time": image.virtual_time,
                "detail": detail,
            }
            files.replace(temp / _ABOUT, json.dumps(about).encode() + b"\n")
            if _size(temp) > self._limit:
                self._remove(temp)
                return None
            self._remove(target)
            temp.rename(target)
        except OSError as error:
            raise HostError(f"{target}: cannot write: {error.strerror}") from None
        finally:
            self._remove(temp)
        self.shrink(self._limit)
        return _look(target)

    def entries(self) -> list[WarmStart]:
        """All of them, the last used first."""
        with suppress(OSError):
            found = [_look(path) for path in self.root.iterdir() if _MAKING not in path.name]
            return sorted(
                (entry for entry in found if entry is not None),
                key=lambda entry: (-entry.used_at, entry.key),
            )
        return []

    def shrink(self, limit: int) -> int:
        """Remove what was not used for longest until all take `limit` bytes; how many went."""
        removed = 0
        used = 0
        for entry in self.entries():
            used += entry.size
            if used > limit:
                self._remove(entry.path)
                removed += 1
        return removed

    def clear(self) -> int:
        """Remove all; how many there were."""
        count = len(self.entries())
        with suppress(OSError):
            for path in list(self.root.iterdir()):
                self._remove(path)
        return count

    @staticmethod
    def _remove(path: Path) -> None:
        # A machine that runs from an entry keeps its files mapped: they go when it does.
        shutil.rmtree(path, ignore_errors=True)


def _look(path: Path) -> WarmStart | None:
    try:
        about = files.parse_json(files.read_own(path / _ABOUT))
        return WarmStart(
            key=path.name,
            path=path,
            machine=str(about["machine"]),
            virtual_time=int(about["virtual_time"]),
            size=_size(path),
            used_at=path.stat().st_mtime,
            detail=str(about["detail"]),
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _size(path: Path) -> int:
    return sum(entry.lstat().st_blocks * 512 for entry in path.rglob("*"))


def _limit() -> int:
    given = os.environ.get("VMMGR_CACHE_SIZE", "")
    return int(given) << 20 if given.isdecimal() else LIMIT
