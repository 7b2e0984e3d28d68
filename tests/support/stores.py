# SPDX-License-Identifier: BSD-2-Clause
"""Snapshots that are worth a store, and what there is in one that is a folder."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from manager.bus.memory import PAGE
from manager.machine.machine import Machine
from manager.snapshot.read import open_snapshot
from manager.snapshot.store import Store
from manager.stores.names import StoredName
from manager.stores.places import open_remote
from manager.stores.pull import Pulled, pulled
from manager.stores.push import Pushed, push
from manager.stores.remote import manifest_of
from support.small_machine import MILLISECOND, hello, put_number, restored


def neighbours(folder: Path) -> Store:
    """A machine of 2 MiB, half of it noise, saved as `base`; and gone on from there, as `later`."""
    graph, store = hello(folder), Store(folder / "store")
    machine = Machine.power_on(graph)
    machine.run(300 * MILLISECOND)
    for page in (*range(0x60, 0xA0), *range(0x110, 0x1F0)):  # not below the VGA and ROMs
        machine.memory.write(page * PAGE, random.Random(page).randbytes(PAGE))
    store.commit(machine.run_to_image(), "base")
    machine.disks.close()
    machine = restored(graph, store, "base")
    put_number(machine, 7)
    store.commit(machine.run_to_image(), "later")
    machine.disks.close()
    return store


def send(store: Store, tag: str, place: str, name: str = "small") -> Pushed:
    """Push a snapshot."""
    path = store.path(tag)
    assert path is not None
    return push(open_snapshot(path), StoredName(name, tag), open_remote(place))


def bring(
    place: str, tag: str, folder: Path, local: Sequence[Path] = (), name: str = "small"
) -> Pulled:
    """Pull a snapshot into `folder`/`tag`; what is unfinished is in `folder`/unfinished."""
    remote = open_remote(place)
    manifest, blob = manifest_of(remote, StoredName(name, tag))
    with pulled(remote, manifest, blob.digest, folder / "unfinished", local) as result:
        shutil.copytree(result.folder, folder / tag)
        return result


def content(folder: Path) -> dict[str, bytes]:
    """Each file of a snapshot."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Forged:
    """A snapshot in a layout, to be changed by who can hash."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = root / "blobs" / "sha256"
        self.layout = json.loads((root / "index.json").read_text())
        self.manifest = self._tree(self.layout["manifests"][0])
        self.index = self._tree(self.manifest["config"])

    def _tree(self, descriptor: dict[str, Any]) -> Any:
        return json.loads((self.blobs / descriptor["digest"][7:]).read_bytes())

    def add(self, data: bytes, media_type: str) -> dict[str, Any]:
        """Keep a blob; its descriptor."""
        digest = hashlib.sha256(data).hexdigest()
        (self.blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def write(self, change: Callable[[Forged], None]) -> None:
        """Have the layout lead to what `change` makes of it, with right digests throughout."""
        before = self.manifest["config"]
        change(self)
        config = self.manifest["config"]
        if config is not None and config == before:
            content = json.dumps(self.index).encode()
            self.manifest["config"] = self.add(content, config["mediaType"])
        entry = self.layout["manifests"][0]
        entry |= self.add(json.dumps(self.manifest).encode(), entry["mediaType"])
        (self.root / "index.json").write_text(json.dumps(self.layout))
