# SPDX-License-Identifier: BSD-2-Clause
from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manager.errors import ExitCode, SnapshotCorruptError
from manager.snapshot.read import open_snapshot, verify_snapshot

Forge = Callable[..., None]


def ram_file(directory: Path, base: int) -> Path:
    return next(
        directory / region.file
        for region in open_snapshot(directory).manifest.ram
        if region.base == base
    )


def overwrite(file: Path, offset: int, content: bytes) -> None:
    file.chmod(0o600)
    with file.open("r+b") as stream:
        stream.seek(offset)
        stream.write(content)


def test_every_flipped_byte_of_the_state_file_is_refused_at_open(saved: Path) -> None:
    file = saved / "snapshot.vmms"
    good = file.read_bytes()
    accepted = []
    file.chmod(0o600)
    with file.open("r+b", buffering=0) as stream:
        for at, byte in enumerate(good):
            os.pwrite(stream.fileno(), bytes((byte ^ 1 << at % 8,)), at)
            try:
                open_snapshot(saved)
                accepted.append(at)
            except SnapshotCorruptError:
                pass
            os.pwrite(stream.fileno(), bytes((byte,)), at)

    assert accepted == []
    open_snapshot(saved)


def test_every_shorter_or_longer_state_file_is_refused_at_open(saved: Path) -> None:
    file = saved / "snapshot.vmms"
    good = file.read_bytes()
    file.chmod(0o600)

    for length in [*range(0, 200), *range(200, len(good), 97), len(good) - 1]:
        file.write_bytes(good[:length])
        with pytest.raises(SnapshotCorruptError):
            open_snapshot(saved)
    file.write_bytes(good + b"\0")
    with pytest.raises(SnapshotCorruptError, match=f"expected {len(good)} bytes"):
        open_snapshot(saved)


@pytest.mark.parametrize("length", [0, 1, 4095, 4096, 0x100000, 0x20FFFF, 0x210001, 0x300000])
def test_a_ram_file_of_another_length_is_an_error_at_open(saved: Path, length: int) -> None:
    file = ram_file(saved, 0)
    file.chmod(0o600)
    os.truncate(file, length)

    with pytest.raises(SnapshotCorruptError, match=f"expected 2162688 bytes, got {length}"):
        open_snapshot(saved)


def test_a_ram_file_cut_after_open_is_an_error_at_map(saved: Path) -> None:
    opened = open_snapshot(saved)
    file = ram_file(saved, 0)
    file.chmod(0o600)
    os.truncate(file, 4096)

    with pytest.raises(SnapshotCorruptError, match="got 4096"):
        opened.map_ram()


def test_a_missing_ram_file_is_an_error_at_open(saved: Path) -> None:
    file = ram_file(saved, 0)
    file.unlink()

    with pytest.raises(SnapshotCorruptError, match=f"{file.name}: cannot be opened"):
        open_snapshot(saved)


def test_a_ram_file_that_is_a_link_or_a_pipe_is_refused(saved: Path) -> None:
    file = ram_file(saved, 0)
    file.rename(saved / "elsewhere")
    file.symlink_to("elsewhere")
    with pytest.raises(SnapshotCorruptError):
        open_snapshot(saved)

    file.unlink()
    os.mkfifo(file)
    with pytest.raises(SnapshotCorruptError, match="not a regular file"):
        open_snapshot(saved)


@pytest.mark.parametrize(
    ("base", "offset", "byte", "reported", "where"),
    [
        (0, 0, b"V", 0, "pages 0x0-0xff of guest RAM"),
        (0, 0x3456, b"\xff", 0, "pages 0x0-0xff of guest RAM"),
        (0, 0x100000, b"\0", 0x100000, "pages 0x100-0x1ff of guest RAM"),
        (0, 0x20FFFF, b"\1", 0x20FFFF, "page 0x20f of guest RAM"),
        (0, 0x200000, b"\1", 0x200000, "page 0x200 of guest RAM"),
        (0xFFFC0000, 0x3FFF, b"\0", 0, "pages 0xfffc0-0xfffc3 of guest RAM"),
    ],
)
def test_changed_ram_is_found_by_verify_with_its_place(
    saved: Path, base: int, offset: int, byte: bytes, reported: int, where: str
) -> None:
    file = ram_file(saved, base)
    overwrite(file, offset, byte)

    open_snapshot(saved)
    with pytest.raises(SnapshotCorruptError) as caught:
        verify_snapshot(saved)

    assert f"{file} at byte {reported:#x}: " in str(caught.value)
    assert where in str(caught.value)
    assert caught.value.exit_code == ExitCode.SNAPSHOT_CORRUPT


def test_verify_passes_when_a_hole_was_filled_with_zeros(saved: Path) -> None:
    overwrite(ram_file(saved, 0), 0x200000, bytes(4096))

    verify_snapshot(saved)


def test_segment_hashes_that_do_not_add_up_are_found_by_verify(saved: Path, forge: Forge) -> None:
    def edit(tree: dict[str, Any], payloads: dict[str, bytes]) -> None:
        tree["objects"][0]["hashes"] = bytes(len(tree["objects"][0]["hashes"]))

    forge(saved, edit)

    with pytest.raises(SnapshotCorruptError, match="from the segment hashes"):
        verify_snapshot(saved)


def test_a_damaged_chunk_is_named_with_place_hashes_and_writer(saved: Path) -> None:
    entry = open_snapshot(saved).manifest.chunks[1]
    overwrite(saved / "snapshot.vmms", entry.offset + 3, b"\0")

    with pytest.raises(SnapshotCorruptError) as caught:
        open_snapshot(saved)

    text = str(caught.value)
    assert f"{saved / 'snapshot.vmms'} at byte {entry.offset:#x}, chunk device/lpc.com1" in text
    assert f"expected hash {entry.hash.hex()}, got " in text
    assert "(written by vmmgr 0.1.0)" in text
    assert "help: restore another snapshot" in text


@pytest.mark.parametrize(
    ("content", "fault"), [(b"", "found nothing"), (b"\x7fELF" + bytes(200), "not a snapshot")]
)
def test_other_files_are_not_taken_for_a_snapshot(saved: Path, content: bytes, fault: str) -> None:
    (saved / "snapshot.vmms").chmod(0o600)
    (saved / "snapshot.vmms").write_bytes(content)

    with pytest.raises(SnapshotCorruptError, match=fault):
        open_snapshot(saved)


def test_a_place_without_a_snapshot_says_so(tmp_path: Path) -> None:
    with pytest.raises(SnapshotCorruptError, match="there is no such snapshot"):
        open_snapshot(tmp_path / "nowhere")


def test_a_state_file_that_is_too_large_is_not_read(saved: Path) -> None:
    (saved / "snapshot.vmms").chmod(0o600)
    os.truncate(saved / "snapshot.vmms", 1 << 40)

    with pytest.raises(SnapshotCorruptError, match="is larger than"):
        open_snapshot(saved)


@pytest.mark.parametrize(
    ("manifest", "fault"),
    [
        (b"\xa0", "chunks is missing"),
        (b"\x80", "not a map"),
        (b"\xbb" + b"\xff" * 8, "exceeds"),
        (b"\x5a\x7f\xff\xff\xff", "exceeds"),
        (b"\x81" * 5000, "nest deeper"),
        (b"\xa2\x61a\x01\x61a\x01", "there twice"),
    ],
)
def test_hostile_manifests_with_right_hashes_are_refused(
    saved: Path, put_manifest: Callable[[Path, bytes], None], manifest: bytes, fault: str
) -> None:
    put_manifest(saved, manifest)

    with pytest.raises(SnapshotCorruptError, match=fault):
        open_snapshot(saved)


def set_first(key: str, field: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda tree: tree[key][0].__setitem__(field, value)


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (set_first("objects", "file", "../../etc/passwd"), "not named after its hash"),
        (set_first("objects", "file", "/etc/passwd"), "not named after its hash"),
        (set_first("objects", "length", 0), "whole number of pages"),
        (set_first("objects", "length", 4097), "whole number of pages"),
        (set_first("objects", "length", 1 << 51), "wrong number of segment hashes"),
        (set_first("objects", "segment", 0), "segments of 0 bytes"),
        (set_first("ram", "file", "snapshot.vmms"), "outside RAM object"),
        (set_first("ram", "offset", 0x210000), "outside RAM object"),
        (set_first("ram", "offset", 1), "not page-aligned"),
        (set_first("ram", "length", 0), "is empty"),
        (set_first("ram", "base", 0xFFFC0000), "overlaps"),
        (set_first("ram", "base", -1), "outside"),
        (set_first("chunks", "raw", 1 << 60), "cannot be decoded"),
        (set_first("chunks", "codec", "zstd"), "cannot be decoded"),
        (set_first("chunks", "id", "schema"), "there twice"),
        (set_first("chunks", "instance", "lpc.com1"), "there twice"),
        (set_first("chunks", "surprise", 1), "surprise is unknown"),
        (set_first("chunks", "hash", b"short"), "length 5"),
        (lambda tree: tree["header"].pop("machine"), "machine is missing"),
        (lambda tree: tree.update(chunks=[{}] * 5000), "chunks is not a list of at most"),
        (lambda tree: tree.update(ram=7), "ram is not a list"),
        (lambda tree: tree.update(later=1), "later is unknown"),
        (lambda tree: tree.update(requires=["parents"]), "needs the feature 'parents'"),
        (lambda tree: tree.update(parents=[{}]), "id is missing"),
        (lambda tree: tree.update(parents=[{"id": bytes(32)}] * 2), "at most 1"),
        (set_first("objects", "segment", 128 << 20), "segments of 134217728 bytes"),
        (set_first("ram", "delta", "x"), "half a delta"),
        (set_first("ram", "runs", b"\0\0\0\0\1\0\0\0"), "half a delta"),
        (lambda tree: tree.update(disks=[{}]), "has disks"),
    ],
)
def test_contradictory_manifests_with_right_hashes_are_refused(
    saved: Path,
    put_manifest: Callable[[Path, bytes], None],
    edit: Callable[[dict[str, Any]], object],
    fault: str,
) -> None:
    forge_tree(saved, edit)

    with pytest.raises(SnapshotCorruptError, match=fault):
        open_snapshot(saved)


def forge_tree(directory: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit the manifest but leave the chunks and their places alone."""
    from blake3 import blake3

    from manager import cbor
    from manager.snapshot import preamble

    file = directory / "snapshot.vmms"
    data = file.read_bytes()
    head = preamble.parse(data)
    tree: Any = cbor.decode(data[head.manifest_offset :])
    edit(tree)
    manifest = cbor.encode(tree)
    at = head.manifest_offset
    new = preamble.Preamble(
        at, len(manifest), blake3(manifest).digest(), at + len(manifest), "9.9.9"
    )
    file.chmod(0o600)
    file.write_bytes(new.pack() + data[preamble.SIZE : at] + manifest)


@pytest.mark.parametrize("change", [1, -1])
def test_chunks_that_leave_a_gap_or_overlap_are_refused(saved: Path, change: int) -> None:
    def edit(tree: dict[str, Any]) -> None:
        tree["chunks"][1]["offset"] += change

    forge_tree(saved, edit)

    with pytest.raises(SnapshotCorruptError, match="does not begin at"):
        open_snapshot(saved)


def test_bytes_that_no_chunk_owns_are_refused(saved: Path) -> None:
    forge_tree(saved, lambda tree: tree["chunks"].pop())

    with pytest.raises(SnapshotCorruptError, match="the chunks end at"):
        open_snapshot(saved)


def test_bytes_after_the_manifest_are_refused(saved: Path, forge: Forge) -> None:
    forge(saved, lambda tree, payloads: None, tail=b"\0")

    with pytest.raises(SnapshotCorruptError, match="1 bytes follow the value"):
        open_snapshot(saved)


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        (b"\xa2\x61a\x01\x61a\x02", "there twice"),
        (b"\xa0\x00", "bytes follow"),
        (b"\x81" * 60, "nest deeper"),
        (b"\x9a\xff\xff\xff\xff", "exceeds"),
        (b"\x80", "expected named fields"),
        (b"", "ends inside"),
    ],
)
def test_hostile_chunks_with_right_hashes_are_refused(
    saved: Path, forge: Forge, payload: bytes, fault: str
) -> None:
    def edit(tree: dict[str, Any], payloads: dict[str, bytes]) -> None:
        payloads["device/slots.4"] = payload
        tree["chunks"][0]["raw"] = len(payload)

    forge(saved, edit)

    with pytest.raises(SnapshotCorruptError, match=fault) as caught:
        open_snapshot(saved)
    assert "chunk device/slots.4" in str(caught.value)
