# SPDX-License-Identifier: BSD-2-Clause
"""A snapshot as one file: there and back, and hostile files."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from manager.errors import HostError, SnapshotCorruptError
from manager.snapshot import archive
from manager.snapshot.image import Image, RamRegion
from manager.snapshot.read import open_snapshot, verify_snapshot
from manager.snapshot.write import write_snapshot

MakeImage = Callable[..., Image]


@pytest.fixture
def packed(saved: Path, tmp_path: Path) -> Path:
    archive.export(open_snapshot(saved), tmp_path / "s.vmms.tar.zst")
    return tmp_path / "s.vmms.tar.zst"


def contents(directory: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in directory.iterdir()}


def repack(file: Path, edit: Callable[[bytearray], Any]) -> None:
    """Change the unpacked stream, and compress it again."""
    content = bytearray(zstandard.ZstdDecompressor().decompressobj().decompress(file.read_bytes()))
    changed = edit(content)
    content = content if changed is None else changed
    file.write_bytes(zstandard.ZstdCompressor().compress(bytes(content)))


def test_unpacking_gives_the_same_files(packed: Path, saved: Path, tmp_path: Path) -> None:
    archive.unpack(packed, tmp_path / "back")

    assert contents(tmp_path / "back") == contents(saved)
    assert {entry.stat().st_mode & 0o777 for entry in (tmp_path / "back").iterdir()} == {0o400}
    assert packed.stat().st_mode & 0o777 == 0o600


def test_zeros_are_holes_again_after_unpacking(tmp_path: Path, make_image: MakeImage) -> None:
    data = bytearray(32 << 20)
    data[20 << 20] = 1
    identity = {"memory": {"size": 32 << 20}}
    regions = [RamRegion(0, data)]
    write_snapshot(tmp_path / "big", make_image(ram=regions, identity=identity))

    archive.export(open_snapshot(tmp_path / "big"), tmp_path / "big.zst")
    archive.unpack(tmp_path / "big.zst", tmp_path / "back")

    assert (tmp_path / "big.zst").stat().st_size < 64 << 10
    assert verify_snapshot(tmp_path / "back").ram_on_disk <= 64 << 10


def test_common_tools_can_list_it(packed: Path, saved: Path) -> None:
    content = zstandard.ZstdDecompressor().decompressobj().decompress(packed.read_bytes())

    listed = subprocess.run(["tar", "-tf", "-"], input=content, capture_output=True, check=True)

    assert sorted(listed.stdout.decode().split()) == sorted(contents(saved))


def test_an_existing_file_is_not_overwritten(packed: Path, saved: Path) -> None:
    with pytest.raises(HostError, match="exists"):
        archive.export(open_snapshot(saved), packed)


def rename_member(content: bytearray, old: bytes, new: bytes) -> None:
    at = content.index(old)
    content[at : at + 100] = new.ljust(100, b"\0")
    head = content[at : at + 512]
    head[148:156] = b" " * 8
    content[at + 148 : at + 156] = f"{sum(head):06o}\0 ".encode()


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda c: rename_member(c, b"snapshot.vmms", b"../../etc/cron.d/x"), "expected the file"),
        (lambda c: rename_member(c, b"snapshot.vmms", b"/etc/passwd"), "expected the file"),
        (lambda c: c.__setitem__(156, ord("2")), "expected the file snapshot.vmms"),
        (lambda c: c.__setitem__(slice(124, 136), b"77777777777\0"), "expected the file"),
        (lambda c: c + bytes(512), "something follows"),
        (lambda c: c[:-600], "too early"),
        (lambda c: c[:100], "too early"),
        (lambda c: bytearray(), "too early"),
        (lambda c: c.__setitem__(700, c[700] ^ 1), "hash"),
        (lambda c: c.__setitem__(-2000, c[-2000] ^ 1), "segment 0: expected"),
    ],
)
def test_archives_that_export_did_not_write_are_refused_and_leave_nothing(
    packed: Path, tmp_path: Path, edit: Callable[[bytearray], Any], fault: str
) -> None:
    repack(packed, edit)

    with pytest.raises(SnapshotCorruptError, match=fault):
        archive.unpack(packed, tmp_path / "back")

    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["s.vmms.tar.zst", "saved"]


def test_a_member_with_a_path_inside_the_manifest_is_refused(
    packed: Path, saved: Path, forge: Callable[..., None], tmp_path: Path
) -> None:
    def edit(tree: dict[str, Any], payloads: dict[str, bytes]) -> None:
        tree["objects"][0]["file"] = tree["ram"][0]["file"] = "../evil.ram"

    forge(saved, edit)
    state = (saved / "snapshot.vmms").read_bytes()
    header = archive._header("snapshot.vmms", len(state))
    content = header + state + bytes(-len(state) % 512) + bytes(1024)
    packed.write_bytes(zstandard.ZstdCompressor().compress(content))

    with pytest.raises(SnapshotCorruptError, match="not named after its hash"):
        archive.unpack(packed, tmp_path / "back")


def test_a_bomb_is_refused_before_it_unpacks(packed: Path, tmp_path: Path) -> None:
    header = archive._header("snapshot.vmms", 1 << 32)
    packed.write_bytes(zstandard.ZstdCompressor().compress(header + bytes(80 << 20)))

    with pytest.raises(SnapshotCorruptError, match="larger than"):
        archive.unpack(packed, tmp_path / "back")


def test_more_ram_than_the_machine_has_is_refused(
    packed: Path, saved: Path, forge: Callable[..., None], tmp_path: Path
) -> None:
    forge(saved, lambda tree, payloads: tree.update(identity={"memory": {"size": 4096}}))
    packed.unlink()
    archive.export(open_snapshot(saved), packed)

    with pytest.raises(SnapshotCorruptError, match="bytes of RAM in a machine of 4096"):
        archive.unpack(packed, tmp_path / "back")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x28\xb5\x2f\xfd", bytes(5000)])
def test_files_that_are_no_archives_are_refused(
    packed: Path, tmp_path: Path, content: bytes
) -> None:
    packed.write_bytes(content)

    with pytest.raises(SnapshotCorruptError):
        archive.unpack(packed, tmp_path / "back")


def test_bytes_after_the_frame_are_refused(packed: Path, tmp_path: Path) -> None:
    packed.write_bytes(packed.read_bytes() + b"\0")

    with pytest.raises(SnapshotCorruptError):
        archive.unpack(packed, tmp_path / "back")


def test_random_damage_is_always_a_clean_error(packed: Path, saved: Path, tmp_path: Path) -> None:
    good = packed.read_bytes()
    chance = random.Random(5)
    for number in range(150):
        bad = bytearray(good)
        if number % 3 == 0:
            del bad[chance.randrange(len(bad)) :]
        else:
            for _ in range(number % 4 + 1):
                bad[chance.randrange(len(bad))] = chance.randrange(256)
        packed.write_bytes(bad)
        try:
            archive.unpack(packed, tmp_path / str(number))
        except SnapshotCorruptError:
            assert not (tmp_path / str(number)).exists()
        else:
            assert contents(tmp_path / str(number)) == contents(saved)
