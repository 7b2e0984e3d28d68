# SPDX-License-Identifier: BSD-2-Clause
"""Which blobs of a store some manifest leads to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from manager.lazy import dataclass
from manager.stores import form
from manager.stores.form import FormError
from manager.stores.remote import Remote, blobs_of, fetch, not_as_it_should_be

_TREES = (
    form.MANIFEST,
    form.IMAGE_INDEX,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
"""Media types of blobs that name others."""


@dataclass(slots=True)
class Reached:
    """What must stay, and what has gone."""

    digests: set[str]
    blobs: int = 0
    size: int = 0

    def count(self, size: int) -> None:
        """A blob of so many bytes has gone."""
        self.blobs += 1
        self.size += size


def reachable(remote: Remote, entries: Sequence[Mapping[str, Any]]) -> Reached:
    """What the descriptors `entries` lead to, through manifests of manifests too.

    Raises SnapshotCorruptError when one cannot be followed, HostError.
    """
    found = Reached(set())
    waiting = list(entries)
    while waiting:
        entry = waiting.pop()
        try:
            blob = form.read_descriptor(entry, None, 1 << 62)
            if blob.digest in found.digests:
                continue
            found.digests.add(blob.digest)
            if entry.get("mediaType") in _TREES:
                form.uint(blob.size, form.MOST_MANIFEST)
                waiting += blobs_of(form.tree_of(fetch(remote, blob)))
        except FormError as error:
            raise not_as_it_should_be(remote, "a manifest", error) from None
    return found
