# SPDX-License-Identifier: BSD-2-Clause
"""A process that pushes one snapshot, or pulls it.

usage: push_once.py FOLDER PLACE push|pull

The snapshot is `later` of the store in FOLDER/store; it is pulled into FOLDER/there. The file
FOLDER/mark is made just before.
"""

from __future__ import annotations

import sys
from pathlib import Path

from manager.snapshot.read import open_snapshot
from manager.snapshot.store import Store
from manager.stores.names import StoredName
from manager.stores.places import open_remote
from manager.stores.pull import pulled
from manager.stores.push import push
from manager.stores.remote import manifest_of

NAME = StoredName("small", "later")


def main() -> None:
    """Push or pull once."""
    folder, place, way = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    remote = open_remote(place)
    (folder / "mark").touch()
    if way == "push":
        path = Store(folder / "store").path("later")
        assert path is not None
        push(open_snapshot(path), NAME, remote, 1)
        return
    manifest, blob = manifest_of(remote, NAME)
    with pulled(remote, manifest, blob.digest, folder / "unfinished", (), 1) as result:
        Store(folder / "there").take_in(result.folder, "later")


if __name__ == "__main__":
    main()
