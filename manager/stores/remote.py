# SPDX-License-Identifier: BSD-2-Clause
"""What every kind of store can do: keep blobs by their digest, and names that lead to manifests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from manager.errors import SnapshotCorruptError
from manager.stores import form
from manager.stores.faults import damaged
from manager.stores.form import Descriptor, FormError, Manifest
from manager.stores.names import StoredName


class Remote(Protocol):
    """A store, perhaps on another host.

    All but `pushing` may be called by several threads at once. What cannot be done raises
    HostError, what is not there NoSuchMachineError.
    """

    @property
    def place(self) -> str:
        """What the user calls it."""

    def pushing(self) -> AbstractContextManager[None]:
        """Make the store if it is not there, and keep what is in it from being pruned inside."""

    def has(self, blob: Descriptor) -> bool:
        """Whether a blob is there, wholly."""

    def put(self, blob: Descriptor, data: bytes) -> None:
        """Keep a blob: wholly or not at all, as far as `has` tells."""

    def get(self, blob: Descriptor) -> bytes:
        """What is there for a blob: unchecked, and at most a byte more than its size."""

    def names(self) -> list[StoredName]:
        """The snapshots that there may be; those of others are left out."""

    def manifest(self, name: StoredName) -> bytes:
        """The manifest that a name leads to: unchecked, of at most MOST_MANIFEST bytes."""

    def set_name(self, name: StoredName, manifest: bytes) -> None:
        """Have a name lead to a manifest whose blobs are there, from one moment to the next."""

    def prune(self, dropped: Iterable[StoredName], grace: float) -> Pruned:
        """Drop names, then all that no name leads to and that is older than `grace` seconds."""

    def abandon(self) -> None:
        """Have calls in other threads end soon, with any error."""


class Pruned(Protocol):
    """What a prune has done."""

    blobs: int
    """How many are gone."""
    size: int
    """Bytes of those."""


def fetch(remote: Remote, blob: Descriptor) -> bytes:
    """A blob that has been checked. Raises SnapshotCorruptError, HostError."""
    data = remote.get(blob)
    if len(data) != blob.size:
        more = "more than " if len(data) > blob.size else f"{len(data)} of "
        raise damaged(remote.place, f"{blob.digest} has {more}{blob.size} bytes")
    if (got := form.descriptor_of(data)) != blob:
        raise damaged(remote.place, f"what is kept as {blob.digest} is {got.digest}")
    return data


def manifest_of(remote: Remote, name: StoredName) -> tuple[Manifest, Descriptor]:
    """A manifest and what names it. Raises SnapshotCorruptError, NoSuchMachineError, HostError."""
    data = remote.manifest(name)
    try:
        return form.read_manifest(data), form.descriptor_of(data)
    except FormError as error:
        raise not_as_it_should_be(remote, f"manifest {name}", error) from None


def not_as_it_should_be(remote: Remote, what: str, error: FormError) -> SnapshotCorruptError:
    """The error for a part of a store that has not its form."""
    return damaged(remote.place, f"{what}: {error}")


def blobs_of(tree: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The descriptors in a manifest of anyone's: an image's, or an index of several.

    Raises FormError.
    """
    found = [tree[key] for key in ("config", "subject") if tree.get(key) is not None]
    for key in ("layers", "manifests"):
        several = tree.get(key, [])
        if not isinstance(several, list):
            raise FormError(f"{key} is no list")
        found += several
    if not all(isinstance(one, dict) for one in found):
        raise FormError("a descriptor is missing")
    return found
