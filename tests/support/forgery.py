# SPDX-License-Identifier: BSD-2-Clause
"""Snapshots whose hashes are all right and whose content is not what vmmgr wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from blake3 import blake3

from manager import cbor
from manager.snapshot import preamble

Edit = Callable[[dict[str, Any], dict[str, bytes]], None]
"""Changes the manifest's tree, and the payloads of chunks by their id."""


def forge(directory: Path, edit: Edit, *, minor: int = 0, tail: bytes = b"") -> None:
    """Rewrite a snapshot after an edit, hashes and all."""
    file = directory / "snapshot.vmms"
    data = file.read_bytes()
    head = preamble.parse(data)
    tree: Any = cbor.decode(data[head.manifest_offset :])
    payloads = {
        entry["id"]: data[entry["offset"] : entry["offset"] + entry["stored"]]
        for entry in tree["chunks"]
    }
    edit(tree, payloads)
    at, stored = preamble.SIZE, []
    for entry in tree["chunks"]:
        payload = payloads[entry["id"]]
        entry |= {"offset": at, "stored": len(payload), "hash": blake3(payload).digest()}
        entry.setdefault("raw", len(payload))
        stored.append(payload)
        at += len(payload)
    put_file(file, stored, cbor.encode(tree) + tail, minor)


def put_file(file: Path, stored: list[bytes], manifest: bytes, minor: int = 0) -> None:
    """Replace snapshot.vmms by these chunks and this manifest under a right preamble."""
    at = preamble.SIZE + sum(map(len, stored))
    digest = blake3(manifest).digest()
    head = preamble.Preamble(at, len(manifest), digest, at + len(manifest), "9.9.9", 1, minor)
    file.chmod(0o600)
    file.write_bytes(head.pack() + b"".join(stored) + manifest)


def change_field(directory: Path, device: str, field: str, value: Any) -> None:
    """Set one field of a device's state in a snapshot."""

    def edit(tree: dict[str, Any], payloads: dict[str, bytes]) -> None:
        (entry,) = (entry for entry in tree["chunks"] if entry["instance"] == device)
        state: Any = cbor.decode(payloads[entry["id"]])
        state[field] = value
        payloads[entry["id"]] = cbor.encode(state)
        entry["raw"] = len(payloads[entry["id"]])

    forge(directory, edit)
