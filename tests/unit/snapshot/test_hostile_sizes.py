# SPDX-License-Identifier: BSD-2-Clause
"""What a hostile file costs its reader: a small multiple of its size and a fixed budget.

All hashes are right, so nothing but the decoder can refuse them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from support.cost import MIB, cost

from manager import cbor
from manager.snapshot import archive
from manager.snapshot.read import open_snapshot

FIXED = 160 * MIB
"""The budget for decoded values is 64 MiB; Python's own objects and copies come on top."""
MOST_SECONDS = 10
IMPORTS = "import zstandard; from manager.snapshot import archive, read"

HEADS = ((24, ">B", 1 << 8), (25, ">H", 1 << 16), (26, ">I", 1 << 32))


def array(item: bytes, count: int) -> bytes:
    return head(4, count) + item * count


def head(major: int, count: int) -> bytes:
    """In its shortest form."""
    code, layout = next((c, f) for c, f, most in HEADS if count < most)
    return bytes((major << 5 | code,)) + struct.pack(layout, count)


def text(length: int) -> bytes:
    """Characters that make the whole text four bytes wide, but for one."""
    return head(3, length + 4) + "\U0001f600".encode() + b"a" * length


HOSTILE = {
    "empty arrays": lambda: array(b"\x80", 30_000_000),
    "empty maps": lambda: array(b"\xa0", 30_000_000),
    "arrays of arrays": lambda: array(array(b"\x81\x80", 1000), 20_000),
    "maps with one entry": lambda: array(b"\xa1\x60\x80", 10_000_000),
    "numbers": lambda: array(b"\x1b" + b"\xff" * 8, 6_000_000),
    "big numbers": lambda: array(b"\xc2\x49" + b"\xff" * 9, 4_000_000),
    "texts": lambda: array(b"\x63abc", 12_000_000),
    "byte strings": lambda: array(b"\x40", 30_000_000),
    "a wide text": lambda: text(60 << 20),
    "wide texts": lambda: array(text(1 << 20), 50),
}


def with_a_chunk(make: Callable[[], bytes]) -> Callable[[dict[str, Any], dict[str, bytes]], None]:
    def edit(tree: dict[str, Any], payloads: dict[str, bytes]) -> None:
        name = next(entry["id"] for entry in tree["chunks"] if entry["kind"] == "device")
        payloads[name] = b"\xa1\x61x" + make()
        next(entry for entry in tree["chunks"] if entry["id"] == name)["raw"] = len(payloads[name])

    return edit


@pytest.mark.parametrize("kind", HOSTILE)
def test_state_of_a_device_that_decodes_to_more_than_it_is(
    kind: str, saved: Path, forge: Callable[..., None]
) -> None:
    forge(saved, with_a_chunk(HOSTILE[kind]))
    size = (saved / "snapshot.vmms").stat().st_size

    spent = cost(saved, "read.open_snapshot(path)", imports=IMPORTS)

    assert spent.memory < 4 * size + FIXED
    assert spent.seconds < MOST_SECONDS
    assert spent.said.startswith("SnapshotCorruptError")
    assert "too many values" in spent.said


def test_many_chunks_share_one_budget(saved: Path, forge: Callable[..., None]) -> None:
    def edit(tree: dict[str, Any], payloads: dict[str, bytes]) -> None:
        (first,) = (entry for entry in tree["chunks"] if entry["kind"] == "schema")
        hoard = b"\xa1\x61x" + array(b"\x80", 900_000)
        for number in range(50):
            id = f"device:{number}"
            payloads[id] = hoard
            fields = {"kind": "device", "type": "x", "instance": str(number), "raw": len(hoard)}
            tree["chunks"].append({**first, "id": id, **fields})

    forge(saved, edit)

    spent = cost(saved, "read.open_snapshot(path)", imports=IMPORTS)

    assert spent.memory < 4 * (45 << 20) + FIXED
    assert "too many values" in spent.said


@pytest.mark.parametrize("kind", ["empty arrays", "maps with one entry", "a wide text"])
def test_small_archive_does_not_unpack_to_gigabytes(
    kind: str, saved: Path, forge: Callable[..., None], tmp_path: Path
) -> None:
    forge(saved, with_a_chunk(HOSTILE[kind]))
    state = (saved / "snapshot.vmms").read_bytes()
    content = archive._header("snapshot.vmms", len(state)) + state
    packed = tmp_path / "evil.vmms.tar.zst"
    packed.write_bytes(zstandard.ZstdCompressor(level=19).compress(content))
    assert packed.stat().st_size < 20_000

    spent = cost(packed, "archive.unpack(path, path.with_name('out'))", imports=IMPORTS)

    assert spent.memory < FIXED
    assert spent.seconds < MOST_SECONDS
    assert spent.said.startswith("SnapshotCorruptError")
    assert not (tmp_path / "out").exists()


def test_archive_that_wants_a_window_of_gigabytes_is_refused(saved: Path, tmp_path: Path) -> None:
    packed = tmp_path / "evil.vmms.tar.zst"
    parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed.write_bytes(compressor.compress(bytes(1000)) + compressor.flush())

    spent = cost(packed, "archive.unpack(path, path.with_name('out'))", imports=IMPORTS)

    assert spent.memory < 16 * MIB
    assert spent.said.startswith("SnapshotCorruptError")


def test_what_is_real_is_far_from_the_budget(saved: Path) -> None:
    opened = open_snapshot(saved)
    budget = cbor.Budget()
    cbor.decode(opened.data[opened.preamble.manifest_offset :], budget)

    assert cbor.BUDGET - budget.left < cbor.BUDGET // 100
