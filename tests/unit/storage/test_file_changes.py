# SPDX-License-Identifier: BSD-2-Clause
"""Which files differ between two states of a disk, on what the reference tools have written."""

from __future__ import annotations

import os
import random
import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from blake3 import blake3
from support import gpt
from support.needs import needs

from manager.snapshot.compare import disk_differences
from manager.storage import tools
from manager.storage.base import RawImage
from manager.storage.build import build
from manager.storage.disk import Disk
from manager.storage.filesystems.changes import Changes, changed_files
from manager.storage.write_log import WriteLog

MIB = 1 << 20
ext4 = needs("mke2fs", "debugfs")
fat = needs("mkfs.fat", "mcopy")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with files of several sizes, one of them in a folder two deep."""
    top = tmp_path / "tree"
    (top / "etc" / "deep").mkdir(parents=True)
    (top / "etc" / "hostname").write_text("one\n")
    (top / "etc" / "deep" / "big").write_bytes(os.urandom(300_000))
    (top / "A long name of a file.text").write_text("same\n")
    (top / "gone").write_text("gone\n")
    return top


def disk_of(path: Path) -> Disk:
    return Disk(RawImage(path, blake3(path.read_bytes()).digest()), WriteLog.nameless())


def compared(before: Path, after: Path) -> list[Changes]:
    one, other = disk_of(before), disk_of(after)
    try:
        return changed_files(one, other, disk_differences(one, other))
    finally:
        one.close()
        other.close()


def made(tree: Path, format: str, tmp_path: Path) -> tuple[Path, Path]:
    """Two equal images of it."""
    before, after = tmp_path / "before.img", tmp_path / "after.img"
    build(tree, format, 16 * MIB, before)
    after.write_bytes(before.read_bytes())
    return before, after


def debugfs(image: Path, *commands: str) -> None:
    for command in commands:
        tools.run("debugfs", ["-w", "-R", command, image], why="a test")


def words(changes: Changes) -> list[str]:
    return [f"{kind} {path}" for kind, path in changes.files]


@ext4
def test_files_of_ext4_that_differ_are_named(tree: Path, tmp_path: Path) -> None:
    before, after = made(tree, "ext4", tmp_path)
    new = tmp_path / "new"
    new.write_text("new\n")
    debugfs(
        after,
        "rm gone",
        "mkdir new",
        f"write {new} new/file",
        "sif etc/hostname mode 0100600",
        "sif etc/deep/big atime @1800000000",
    )

    [changes] = compared(before, after)

    assert (changes.partition, changes.format, changes.problem) == (0, "ext4", "")
    assert words(changes) == [
        "changed etc/hostname",
        "removed gone",
        "added new/",
        "added new/file",
    ]
    assert compared(before, before) == []


@ext4
def test_content_that_differs_is_the_files_that_has_it(tree: Path, tmp_path: Path) -> None:
    before, after = made(tree, "ext4", tmp_path)
    content = (tree / "etc" / "deep" / "big").read_bytes()[:4096]
    image = bytearray(after.read_bytes())
    image[image.index(content)] ^= 1
    after.write_bytes(image)

    [changes] = compared(before, after)

    assert words(changes) == ["changed etc/deep/big"]


@ext4
def test_what_only_the_journal_has_yet_is_seen(tree: Path, tmp_path: Path) -> None:
    before, after = made(tree, "ext4", tmp_path)
    new = tmp_path / "changed.img"
    new.write_bytes(after.read_bytes())
    debugfs(new, "sif etc/hostname size 2")
    at = next(at for at in range(0, 16 * MIB, 4096) if _block(new, at) != _block(before, at) and at)
    block = tmp_path / "block"
    block.write_bytes(_block(new, at))
    script = tmp_path / "script"
    script.write_text(f"jo\njw -b {at // 4096} {block}\njc\n")
    tools.run("debugfs", ["-w", "-f", script, after], why="a test")
    assert _block(after, at) == _block(before, at)

    [changes] = compared(before, after)

    assert words(changes) == ["changed etc/hostname"]


def _block(image: Path, at: int) -> bytes:
    with image.open("rb") as file:
        return os.pread(file.fileno(), 4096, at)


@fat
@pytest.mark.parametrize("size", [2, 16, 64])
def test_files_of_fat_that_differ_are_named(tree: Path, tmp_path: Path, size: int) -> None:
    before, after = tmp_path / "before.img", tmp_path / "after.img"
    build(tree, "fat", size * MIB, before)
    if size == 64:
        tools.run("mkfs.fat", ["-F", "32", "-s", "1", "--invariant", before], why="a test")
        tools.run("mcopy", ["-s", "-i", before, *tree.iterdir(), "::/"], why="a test")
    after.write_bytes(before.read_bytes())
    new = tmp_path / "Added by a test.txt"
    new.write_text("new\n")
    for program, *arguments in (
        ("mdel", "::/gone"),
        ("mmd", "::/new"),
        ("mcopy", str(new), "::/new"),
    ):
        subprocess.run([program, "-i", after, *arguments], check=True)
    content = (tree / "etc" / "deep" / "big").read_bytes()[-400:]
    image = bytearray(after.read_bytes())
    image[image.index(content)] ^= 1
    after.write_bytes(image)

    [changes] = compared(before, after)

    assert (changes.format, changes.problem) == ("fat", "")
    assert words(changes) == [
        "changed etc/deep/big",
        "removed gone",
        "added new/",
        "added new/Added by a test.txt",
    ]


def with_gpt(parts: Sequence[bytes]) -> bytes:
    sectors = [len(part) // 512 for part in parts]
    starts = [2048 + sum(sectors[:n]) for n in range(len(parts))]
    entries = [(gpt.LINUX, at, at + n - 1) for at, n in zip(starts, sectors, strict=True)]
    total = 2048 + sum(sectors) + 33
    head = gpt.table(total, entries).ljust(2048 * 512, b"\0")
    return head + b"".join(parts) + bytes(33 * 512)


def with_mbr(parts: Sequence[bytes]) -> bytes:
    """The first is a primary partition, the others are logical ones."""
    entry = struct.Struct("<4xB3xII")
    first, *logical = parts
    at = 64 + len(first) // 512
    table = entry.pack(0x83, 64, len(first) // 512) + entry.pack(0x0F, at, 1 << 20)
    whole = (bytes(0x1BE) + table.ljust(64, b"\0") + b"\x55\xaa").ljust(64 * 512, b"\0") + first
    extended = at
    for number, part in enumerate(logical):
        following = at + 64 + len(part) // 512
        last = number + 1 == len(logical)
        table = entry.pack(0x83, 64, len(part) // 512)
        table += b"" if last else entry.pack(0x05, following - extended, 1)
        whole += (bytes(0x1BE) + table.ljust(64, b"\0") + b"\x55\xaa").ljust(64 * 512, b"\0") + part
        at = following
    return whole


@ext4
@fat
@pytest.mark.parametrize("table", [with_gpt, with_mbr])
def test_each_partition_is_looked_at(
    tree: Path, tmp_path: Path, table: Callable[[Sequence[bytes]], bytes]
) -> None:
    root, esp = tmp_path / "root.img", tmp_path / "esp.img"
    build(tree, "ext4", 16 * MIB, root)
    build(tree, "fat", 4 * MIB, esp)
    before, after = tmp_path / "before.img", tmp_path / "after.img"
    parts = [esp.read_bytes(), root.read_bytes(), esp.read_bytes()]
    before.write_bytes(table(parts))
    debugfs(root, "rm gone")
    subprocess.run(["mdel", "-i", esp, "::/gone"], check=True)
    after.write_bytes(table([parts[0], root.read_bytes(), esp.read_bytes()]))

    found = compared(before, after)

    numbers = [2, 3] if table is with_gpt else [5, 6]
    assert [change.partition for change in found] == numbers
    assert [change.format for change in found] == ["ext4", "fat"]
    assert [words(change) for change in found] == [["removed gone"], ["removed gone"]]


@ext4
def test_a_missing_tool_is_told_with_its_package(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = made(tree, "ext4", tmp_path)
    debugfs(after, "rm gone")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "_MORE_PLACES", str(tmp_path))

    [changes] = compared(before, after)

    assert changes.files == []
    assert "needs the program e2fsck, which is not installed" in changes.problem
    assert changes.help == "install it (Debian: apt install e2fsprogs)"


@ext4
@fat
@pytest.mark.parametrize("format", ["ext4", "fat"])
@pytest.mark.parametrize("seed", range(6))
def test_a_file_system_that_lies_raises_nothing(
    tree: Path, tmp_path: Path, format: str, seed: int
) -> None:
    before, after = made(tree, format, tmp_path)
    chance = random.Random(seed)
    image = bytearray(after.read_bytes())
    used = [at for at in range(0, len(image), 512) if any(image[at : at + 512])]
    places = chance.sample(used, min(len(used), 40))
    for at in places:
        start = at + chance.randrange(500)
        image[start : start + 8] = chance.choice([b"\xff" * 8, b"\0" * 8, chance.randbytes(8)])
    after.write_bytes(image)

    for found in compared(before, after):
        assert found.files or found.problem


@fat
def test_a_directory_in_itself_ends(tree: Path, tmp_path: Path) -> None:
    before, after = made(tree, "fat", tmp_path)
    image = bytearray(after.read_bytes())
    names = [image.index(name) for name in (b"ETC     ", b"DEEP    ")]
    image[names[1] + 26 : names[1] + 28] = image[names[0] + 26 : names[0] + 28]
    after.write_bytes(image)

    [changes] = compared(before, after)

    assert words(changes) == ["removed etc/deep/big"]


@ext4
def test_names_with_control_characters_come_as_they_are(tree: Path, tmp_path: Path) -> None:
    before, after = made(tree, "ext4", tmp_path)
    command = b'write "%s" "e\x1b[2J\xff"' % os.fsencode(tree / "gone")
    debugfs(after, os.fsdecode(command))

    [changes] = compared(before, after)

    assert words(changes) == ["added e\x1b[2J\udcff"]
