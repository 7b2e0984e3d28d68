# SPDX-License-Identifier: BSD-2-Clause
"""A store in a folder: an OCI image layout, which other tools can read and copy to a registry.

Blobs appear by rename. Pushes hold a shared lock on the file `oci-layout`, a prune an exclusive
one; `index.json` is replaced under a lock on the folder itself.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from manager import files
from manager.errors import HostError
from manager.snapshot.faults import host_failures
from manager.stores import form
from manager.stores.faults import AGAIN, damaged, not_there, unreachable
from manager.stores.form import Descriptor, FormError
from manager.stores.names import StoredName
from manager.stores.reach import Reached, reachable

_MARK = "oci-layout"
_VERSION = b'{"imageLayoutVersion":"1.0.0"}'
_NAME = "org.opencontainers.image.ref.name"
_TEMP = ".tmp-"
_MOST_INDEX = 64 << 20
"""Bytes of `index.json`."""


class Layout:
    """A store in a folder of this host."""

    def __init__(self, place: str, root: Path) -> None:
        self.place = place
        self._root = root
        self._blobs = root / "blobs" / "sha256"

    @contextmanager
    def pushing(self) -> Iterator[None]:
        """See Remote."""
        self._make()
        with self._locked(self._root / _MARK, fcntl.LOCK_SH):
            yield

    def has(self, blob: Descriptor) -> bool:
        """See Remote. Says to a prune that it is wanted."""
        with self._failures("cannot be written"):
            try:
                path = self._path(blob)
                if path.lstat().st_size != blob.size:
                    return False
                os.utime(path, follow_symlinks=False)
            except FileNotFoundError:
                return False
        return True

    def put(self, blob: Descriptor, data: bytes) -> None:
        """See Remote."""
        with self._failures("cannot be written"):
            self._write(self._path(blob), data)

    def get(self, blob: Descriptor) -> bytes:
        """See Remote."""
        return self._read(self._path(blob), blob.size + 1, cut=True)

    def names(self) -> list[StoredName]:
        """See Remote."""
        found = (StoredName.read(name) for name in map(_name_of, self._index()) if name)
        return [name for name in found if name is not None]

    def manifest(self, name: StoredName) -> bytes:
        """See Remote."""
        for entry in self._index():
            if _name_of(entry) == str(name):
                try:
                    blob = form.read_descriptor(entry, None, form.MOST_MANIFEST)
                except FormError as error:
                    raise damaged(self.place, f"index.json: {name}: {error}") from None
                data = self.get(blob)
                if form.descriptor_of(data) != blob:
                    raise damaged(self.place, f"what is kept as {blob.digest} is something else")
                return data
        raise not_there(self.place, name.shown)

    def set_name(self, name: StoredName, manifest: bytes) -> None:
        """See Remote."""
        blob = form.descriptor_of(manifest)
        self.put(blob, manifest)
        entry = {**form.as_json(form.MANIFEST, blob), "artifactType": form.ARTIFACT}
        entry["annotations"] = {_NAME: str(name)}
        with self._locked(self._root, fcntl.LOCK_EX):
            others = [one for one in self._index() if _name_of(one) != str(name)]
            self._write_index([*others, entry])

    def prune(self, dropped: Iterable[StoredName], grace: float) -> Reached:
        """See Remote. What other tools keep there stays."""
        gone = set(map(str, dropped))
        with (
            self._locked(self._require(), fcntl.LOCK_EX),
            self._locked(self._root, fcntl.LOCK_EX),
        ):
            entries = self._index()
            kept = [one for one in entries if _name_of(one) not in gone]
            if len(kept) != len(entries):
                self._write_index(kept)
            found = reachable(self, kept)
            oldest = time.time() - grace
            with self._failures("cannot be pruned"):
                for path in list(self._blobs.iterdir()):
                    status = path.lstat()
                    digest = f"sha256:{path.name}"
                    if digest not in found.digests and status.st_mtime <= oldest:
                        path.unlink()
                        found.count(status.st_size)
        return found

    def abandon(self) -> None:
        """See Remote. Files are read and written soon enough."""

    # ---- the folder ----

    def _make(self) -> None:
        mark = self._root / _MARK
        if mark.is_file():
            return
        with self._failures("cannot be made"):
            if self._root.is_dir() and any(self._root.iterdir()):
                raise unreachable(
                    self.place,
                    "is a folder with something else in it",
                    help="name a folder that is empty or not there yet",
                )
            self._blobs.mkdir(parents=True, exist_ok=True)
            with self._locked(self._root, fcntl.LOCK_EX):
                if not (self._root / "index.json").exists():
                    self._write_index([])
                self._write(mark, _VERSION)

    def _require(self) -> Path:
        mark = self._root / _MARK
        if not mark.is_file():
            raise unreachable(
                self.place, "there is no store", help="`vmmgr push NAME REMOTE` makes one"
            )
        return mark

    @contextmanager
    def _locked(self, path: Path, how: int) -> Iterator[None]:
        with self._failures("cannot be locked"):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with self._failures("cannot be locked"):
                fcntl.flock(fd, how)
            yield
        finally:
            os.close(fd)

    def _path(self, blob: Descriptor) -> Path:
        return self._blobs / blob.digest.removeprefix("sha256:")

    def _index(self) -> list[dict[str, Any]]:
        self._require()
        data = self._read(self._root / "index.json", _MOST_INDEX)
        try:
            found = form.tree_of(data).get("manifests")
        except FormError as error:
            raise damaged(self.place, f"index.json: {error}") from None
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise damaged(self.place, "index.json has no list of manifests")
        return found

    def _write_index(self, entries: list[dict[str, Any]]) -> None:
        tree = {"schemaVersion": 2, "mediaType": form.IMAGE_INDEX, "manifests": entries}
        with self._failures("cannot be written"):
            self._write(self._root / "index.json", json.dumps(tree, indent=1).encode())

    def _write(self, path: Path, data: bytes) -> None:
        temp = self._blobs / f"{_TEMP}{os.urandom(8).hex()}"
        try:
            fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(fd)
            temp.replace(path)
        except BaseException:
            with suppress(OSError):
                temp.unlink()
            raise

    def _read(self, path: Path, limit: int, *, cut: bool = False) -> bytes:
        try:
            with os.fdopen(files.open_own(path), "rb") as file:
                data = file.read(limit + 1)
        except FileNotFoundError:
            raise damaged(self.place, f"{path.name} is missing") from None
        except OSError as error:
            raise HostError(f"{path}: cannot be read: {error.strerror}", help=AGAIN) from error
        if len(data) > limit and not cut:
            raise damaged(self.place, f"{path.name} is larger than {limit} bytes")
        return data[:limit]

    @contextmanager
    def _failures(self, what: str) -> Iterator[None]:
        with host_failures(f"{self.place} {what}", AGAIN):
            yield


def _name_of(entry: dict[str, Any]) -> str:
    about = entry.get("annotations")
    name = about.get(_NAME) if isinstance(about, dict) else None
    return name if isinstance(name, str) else ""
