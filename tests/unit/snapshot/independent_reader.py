# SPDX-License-Identifier: BSD-2-Clause
"""Reads a snapshot by docs/snapshot-format.md alone; imports nothing of vmmgr."""

from __future__ import annotations

import json
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import cbor2
from blake3 import blake3

MAGIC = bytes.fromhex("89 56 4d 4d 53 0d 0a 1a")
PAGE = 4096


class BadSnapshotError(Exception):
    """The snapshot breaks a rule of the format."""


def must(condition: object, rule: str) -> None:
    if not condition:
        raise BadSnapshotError(rule)


def one_value(data: bytes) -> Any:
    """Decode deterministic CBOR: re-encoding it must give the same bytes."""
    try:
        value = cbor2.loads(data)
    except Exception as error:
        raise BadSnapshotError(f"CBOR: {error}") from None
    must(cbor2.dumps(value, canonical=True) == data, "CBOR is deterministic")
    return value


def read_preamble(data: bytes) -> dict[str, Any]:
    must(data[:8] == MAGIC, "magic")
    must(len(data) >= 128, "the preamble has 128 bytes")
    must(struct.unpack_from("<I", data, 124)[0] == zlib.crc32(data[:124]), "CRC of the preamble")
    major, minor, order, offset, length, digest, total, writer = struct.unpack_from(
        "<HHIQQ32sQ32s", data, 8
    )
    must(order == 0x01020304, "byte order mark")
    name = writer.rstrip(b"\0").decode("ascii")
    must(major == 1, f"major version 1, not {major} of vmmgr {name}")
    must(total == len(data), "length of the file")
    must(offset >= 128 and offset + length == total, "place of the manifest")
    must(blake3(data[offset:]).digest() == digest, "hash of the manifest")
    return {"minor": minor, "manifest": offset, "writer": name}


def read_chunks(data: bytes, manifest: dict[str, Any], end: int) -> dict[str, Any]:
    at, devices, schemas = 128, {}, {}
    for entry in manifest["chunks"]:
        must(entry["offset"] == at, f"chunk {entry['id']} follows the one before it")
        at += entry["stored"]
        payload = data[entry["offset"] : at]
        must(blake3(payload).digest() == entry["hash"], f"hash of chunk {entry['id']}")
        if entry["kind"] in ("device", "schema"):
            must(entry["codec"] == "none" and entry["raw"] == entry["stored"], "codec")
        if entry["kind"] == "device":
            must(entry["instance"] not in devices, "a device is there once")
            devices[entry["instance"]] = {
                "type": entry["type"],
                "version": entry["version"],
                "fields": one_value(payload),
            }
        elif entry["kind"] == "schema":
            schemas = one_value(payload)
        else:
            must(not entry["mandatory"], f"kind {entry['kind']} is known or optional")
    must(at == end, "the manifest follows the last chunk")
    return {"devices": devices, "schemas": schemas}


def read_object(directory: Path, entry: dict[str, Any]) -> bytes:
    """Read a RAM object and check it against all its hashes."""
    length: int = entry["length"]
    segment: int = entry["segment"]
    hashes: bytes = entry["hashes"]
    must(length and length % PAGE == 0 and segment % PAGE == 0, "whole pages")
    must(0 < segment <= 64 << 20, "size of a segment")
    root = blake3(struct.pack("<QQ", length, segment) + hashes).digest()
    must(root == entry["hash"], "hash of the RAM object")
    must(entry["file"] == root[:16].hex() + ".ram", "name of the RAM object")
    file = directory / entry["file"]
    must(file.is_file() and not file.is_symlink(), "the RAM object is a regular file")
    must(file.stat().st_size == length, "size of the RAM object")
    content: bytes = file.read_bytes()
    must(len(hashes) == 32 * -(-length // segment), "one hash per segment")
    for index, start in enumerate(range(0, length, segment)):
        piece = content[start : start + segment]
        actual = blake3(piece).digest() if any(piece) else bytes(32)
        must(actual == hashes[32 * index : 32 * index + 32], f"hash of segment {index}")
    return content


def read_ram(directory: Path, manifest: dict[str, Any]) -> list[tuple[int, bytearray]]:
    contents = {entry["file"]: read_object(directory, entry) for entry in manifest["objects"]}
    ranges, end = [], 0
    for entry in manifest["ram"]:
        base, length, offset = entry["base"], entry["length"], entry["offset"]
        must(base % PAGE == length % PAGE == offset % PAGE == 0, "ranges are whole pages")
        must(length and base >= end and base + length <= 1 << 52, "ranges ascend")
        end = base + length
        must(entry["file"] in contents, "a range lies in an object")
        content = bytearray(contents[entry["file"]][offset : offset + length])
        must(len(content) == length, "a range lies inside its object")
        put_delta(content, entry, contents)
        ranges.append((base, content))
    return ranges


def put_delta(content: bytearray, entry: dict[str, Any], contents: dict[str, bytes]) -> None:
    """Replace the pages of a range that its delta holds."""
    runs: bytes = entry["runs"]
    at, end = entry["delta_offset"], -1
    must(bool(entry["delta"]) == bool(runs) and len(runs) % 8 == at % PAGE == 0, "a whole delta")
    must(not runs or entry["delta"] in contents, "a delta is an object")
    for first, count in struct.iter_unpack("<II", runs):
        must(first > end and count, "runs ascend and are not empty")
        end = first + count
        pages = contents[entry["delta"]][at : at + count * PAGE]
        must(end * PAGE <= len(content) and len(pages) == count * PAGE, "runs lie inside")
        content[first * PAGE : end * PAGE] = pages
        at += count * PAGE


def read(directory: Path) -> dict[str, Any]:
    """Everything in the snapshot, checked."""
    data = (directory / "snapshot.vmms").read_bytes()
    preamble = read_preamble(data)
    manifest = one_value(data[preamble["manifest"] :])
    must(not manifest["requires"], "features are known")
    must(len(manifest["parents"]) <= 1 and not manifest["disks"], "one parent at most, no disks")
    return {
        "preamble": preamble,
        "header": manifest["header"],
        "identity": manifest["identity"],
        "config": manifest["config"],
        "parents": manifest["parents"],
        **read_chunks(data, manifest, preamble["manifest"]),
        "ram": read_ram(directory, manifest),
    }


if __name__ == "__main__":
    everything = read(Path(sys.argv[1]))
    everything["ram"] = [[base, len(content)] for base, content in everything["ram"]]
    print(json.dumps(everything, indent=2, default=lambda value: value.hex()))
