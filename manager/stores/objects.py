# SPDX-License-Identifier: BSD-2-Clause
"""A store in whatever fsspec can write: S3, Google's and Azure's, SSH, and more.

Below the URL are `blobs/sha256/DIGEST`, as in an OCI image layout, and `names/NAME.TAG` with the
manifest's descriptor, because such places have no rename and no lock for a list of all names.

A push keeps a mark below `pushes`, and a prune one called `pruning`, for as long as they take. Each
makes its own first and then looks for the other's, so of two that meet at least one gives way.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from manager.errors import HostError, UsageError, VmmgrError
from manager.stores import form
from manager.stores.faults import AGAIN, damaged, not_there, unreachable
from manager.stores.form import Descriptor, FormError
from manager.stores.names import StoredName
from manager.stores.reach import Reached, reachable

KNOWN = "see docs/stores.md, and fsspec's list of implementations"
_PRUNING = "pruning"
_LONGEST_PRUNE = 3600.0
"""Seconds after which the mark of a prune says that it was killed."""
_MOST_DESCRIPTOR = 4096
"""Bytes of what is kept for a name."""


class Objects:
    """A store at a URL of fsspec's."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._files: Any
        with self._failures():
            try:
                from fsspec.core import url_to_fs

                self._files, root = url_to_fs(place, skip_instance_cache=True)
            except ImportError as error:
                raise _missing(place, error) from None
            except ValueError as error:
                raise UsageError(f"{place!r} names no store: {error}", help=KNOWN) from None
        self._root = str(root).rstrip("/")

    @contextmanager
    def pushing(self) -> Iterator[None]:
        """See Remote."""
        mark = self._path("pushes", os.urandom(8).hex())
        self._write(mark, b"")
        try:
            if self._is_younger(self._path(_PRUNING), _LONGEST_PRUNE):
                raise unreachable(self.place, "is being pruned", help="try again soon")
            yield
        finally:
            with suppress(Exception):
                self._files.rm_file(mark)

    def has(self, blob: Descriptor) -> bool:
        """See Remote."""
        with self._failures(), suppress(FileNotFoundError):
            self._files.invalidate_cache()
            return bool(self._files.info(self._blob(blob))["size"] == blob.size)
        return False

    def put(self, blob: Descriptor, data: bytes) -> None:
        """See Remote."""
        self._write(self._blob(blob), data)

    def get(self, blob: Descriptor) -> bytes:
        """See Remote."""
        try:
            return self._read(self._blob(blob), blob.size + 1)
        except FileNotFoundError:
            raise damaged(self.place, f"{blob.digest} is missing") from None

    def names(self) -> list[StoredName]:
        """See Remote."""
        found = (StoredName.read(name) for name in self._list("names"))
        return [name for name in found if name is not None]

    def manifest(self, name: StoredName) -> bytes:
        """See Remote."""
        try:
            data = self._read(self._path("names", str(name)), _MOST_DESCRIPTOR)
        except FileNotFoundError:
            raise not_there(self.place, name.shown) from None
        try:
            blob = form.read_descriptor(form.tree_of(data), form.MANIFEST, form.MOST_MANIFEST)
        except FormError as error:
            raise damaged(self.place, f"names/{name}: {error}") from None
        found = self.get(blob)
        if form.descriptor_of(found) != blob:
            raise damaged(self.place, f"what is kept as {blob.digest} is something else")
        return found

    def set_name(self, name: StoredName, manifest: bytes) -> None:
        """See Remote."""
        blob = form.descriptor_of(manifest)
        self.put(blob, manifest)
        entry = json.dumps(form.as_json(form.MANIFEST, blob)).encode()
        self._write(self._path("names", str(name)), entry)

    def prune(self, dropped: Iterable[StoredName], grace: float) -> Reached:
        """See Remote."""
        mark = self._path(_PRUNING)
        self._write(mark, b"")
        try:
            for push in self._list("pushes"):
                if self._is_younger(self._path("pushes", push), grace):
                    raise unreachable(
                        self.place,
                        "a push is under way, or was cut short",
                        help="wait until it is done; --older-than says how old one may be",
                    )
                self._remove(self._path("pushes", push))
            for name in dropped:
                self._remove(self._path("names", str(name)))
            entries = [
                form.as_json(form.MANIFEST, form.descriptor_of(self.manifest(name)))
                for name in self.names()
            ]
            found = reachable(self, entries)
            for digest, size in self._blobs():
                path = self._path("blobs/sha256", digest)
                if f"sha256:{digest}" not in found.digests and not self._is_younger(path, grace):
                    self._remove(path)
                    found.count(size)
            return found
        finally:
            self._remove(mark)

    def abandon(self) -> None:
        """See Remote. fsspec has no way to; its own time-outs end what is under way."""

    # ---- files ----

    def _path(self, *parts: str) -> str:
        return "/".join((self._root, *parts))

    def _blob(self, blob: Descriptor) -> str:
        return self._path("blobs/sha256", blob.digest.removeprefix("sha256:"))

    def _list(self, folder: str) -> list[str]:
        """The names in a folder, which need not be there."""
        with self._failures(), suppress(FileNotFoundError):
            self._files.invalidate_cache()
            found = self._files.ls(self._path(folder), detail=False)
            return [str(path).rpartition("/")[2] for path in found]
        return []

    def _blobs(self) -> list[tuple[str, int]]:
        """(name, size) of each."""
        with self._failures(), suppress(FileNotFoundError):
            self._files.invalidate_cache()
            found = self._files.ls(self._path("blobs/sha256"), detail=True)
            return [(str(one["name"]).rpartition("/")[2], int(one["size"])) for one in found]
        return []

    def _is_younger(self, path: str, seconds: float) -> bool:
        """Whether a file is there and not so old."""
        with self._failures(), suppress(FileNotFoundError):
            if not seconds:
                return False
            changed = self._files.modified(path)
            if changed.tzinfo is None:
                changed = changed.replace(tzinfo=UTC)
            return bool((datetime.now(UTC) - changed).total_seconds() < seconds)
        return False

    def _read(self, path: str, limit: int) -> bytes:
        """Raises FileNotFoundError, HostError."""
        with self._failures():
            return bytes(self._files.cat_file(path, start=0, end=limit))

    def _write(self, path: str, data: bytes) -> None:
        with self._failures(missing=True):
            if path.startswith("/"):  # not a bucket's: folders have to be made
                self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(path, data)

    def _remove(self, path: str) -> None:
        with self._failures(), suppress(FileNotFoundError):
            self._files.rm_file(path)

    @contextmanager
    def _failures(self, *, missing: bool = False) -> Iterator[None]:
        """The libraries below raise errors of their own of any kind.

        FileNotFoundError passes, unless with `missing`.
        """
        try:
            yield
        except VmmgrError:
            raise
        except Exception as error:
            if isinstance(error, FileNotFoundError) and not missing:
                raise
            text = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
            raise unreachable(self.place, text, help=AGAIN) from error


def _missing(place: str, error: ImportError) -> HostError:
    return unreachable(
        place,
        f"needs a library that is not here: {error}",
        help="pip install 'vmmgr[stores]', or the one of fsspec's that is for this kind",
    )
