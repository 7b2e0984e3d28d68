# SPDX-License-Identifier: BSD-2-Clause
"""The files that a machine was booted from, by digests of their content."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from blake3 import blake3

from manager import files
from manager.errors import HostError
from manager.graph.boot_files import boot_files
from manager.graph.nodes import Graph

Stamp = tuple[int, int, int, int, int]
"""Device, inode, size, times of modification and of change: another content has another."""


class _ChangedError(Exception):
    """The file is no longer what it was."""


class BootImages:
    """The boot files of one machine, as they were at its power-on.

    They are read when the digests are first wanted; one that has changed by then is not known.
    """

    __slots__ = ("_digests", "_stamps")

    def __init__(self, digests: Mapping[str, str]) -> None:
        self._digests: dict[str, str] = dict(digests)
        self._stamps: dict[str, tuple[Path, Stamp]] = {}

    @classmethod
    def of(cls, graph: Graph) -> BootImages:
        """Those of a machine that is powered on now; the boot itself says which are not there."""
        images = cls({})
        for key, path in boot_files(graph.boot).items():
            with suppress(HostError):
                images._stamps[key] = path, _stamp(path)
        return images

    def digests(self) -> dict[str, str]:
        """Key of `[boot]` -> digest in hex."""
        for key, (path, stamp) in self._stamps.items():
            try:
                self._digests[key] = _digest(path, stamp)
            except (_ChangedError, HostError, OSError):
                continue
        self._stamps.clear()
        return dict(self._digests)


def of_file(path: Path) -> str:
    """The digest of a file, in hex. Raises HostError."""
    for _ in range(2):  # it may change between look and read, once
        try:
            return _digest(path, _stamp(path))
        except OSError as error:
            raise HostError(f"{path}: cannot be read: {error.strerror}") from None
        except _ChangedError:
            continue
    raise HostError(f"{path}: changes all the time")


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError as error:
        raise HostError(f"{path}: cannot be read: {error.strerror}") from None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@lru_cache(maxsize=32)
def _digest(path: Path, stamp: Stamp) -> str:
    digest = blake3()
    with os.fdopen(files.open_regular(path), "rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    if _stamp(path) != stamp:
        raise _ChangedError
    return digest.hexdigest()
