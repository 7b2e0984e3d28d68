# SPDX-License-Identifier: BSD-2-Clause
"""Copies out of a share whose guest means ill: nothing is written but below the target."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from manager.storage.base import Zeros
from manager.storage.blocks import DiskBlocks
from manager.storage.disk import Disk
from manager.storage.share.copy import StillShare, copy_in, copy_out
from manager.storage.share.layout import TOP, failure
from manager.storage.share.tree import New, Tree
from manager.storage.share.volume import Volume
from manager.storage.write_log import WriteLog

FILE, DIRECTORY, LINK = stat.S_IFREG | 0o4777, stat.S_IFDIR | 0o700, stat.S_IFLNK | 0o777


@pytest.fixture
def tree() -> Tree:
    disk = Disk(Zeros(8 << 20), WriteLog.nameless())
    return Tree(Volume(DiskBlocks(disk, "src", lambda text: None)))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "file").write_text("precious")
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def out(tree: Tree, target: Path) -> None:
    directory = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    try:
        copy_out(StillShare(tree), b"", directory, b"all")
    finally:
        os.close(directory)


def add(tree: Tree, name: bytes, mode: int, content: bytes = b"", directory: int = TOP) -> int:
    return tree.create(directory, name, New(mode, 0, 0), 5, content).node


def test_a_link_that_became_a_folder_is_not_followed(tree: Tree, target: Path) -> None:
    add(tree, b"x", LINK, b"../../secret")
    out(tree, target)
    tree.unlink(TOP, b"x", 6, is_directory=False)
    below = add(tree, b"x", DIRECTORY)
    add(tree, b"file", FILE, b"overwritten", below)

    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        out(tree, target)
    assert (target.parent / "secret" / "file").read_text() == "precious"


def test_a_link_that_became_a_file_is_not_followed(tree: Tree, target: Path) -> None:
    add(tree, b"x", LINK, b"../../secret/file")
    out(tree, target)
    tree.unlink(TOP, b"x", 6, is_directory=False)
    add(tree, b"x", FILE, b"overwritten")

    with pytest.raises(OSError, match="Too many levels"):
        out(tree, target)
    assert (target.parent / "secret" / "file").read_text() == "precious"


def test_a_name_that_no_guest_can_give_leads_nowhere(tree: Tree, target: Path) -> None:
    """Blocks that came with a snapshot from elsewhere can say anything."""
    number = add(tree, b"aa", FILE, b"overwritten")
    names = tree.names(TOP)
    for name in (b"..", b"../secret/file", b""):
        names.slots[0] = names.names[b"aa"]._replace(name=name)
        with pytest.raises(OSError, match=failure(22).strerror):
            out(tree, target)
    assert tree.volume.node(number).links == 1
    assert (target.parent / "secret" / "file").read_text() == "precious"


def test_modes_are_permissions_and_devices_are_left_out(tree: Tree, target: Path) -> None:
    add(tree, b"run", FILE, b"content")
    add(tree, b"null", stat.S_IFCHR | 0o666)
    out(tree, target)

    assert [path.name for path in (target / "all").iterdir()] == ["run"]
    assert (target / "all" / "run").stat().st_mode == stat.S_IFREG | 0o777


def test_a_copy_in_takes_the_place_of_what_was_there(tree: Tree, target: Path) -> None:
    add(tree, b"file", FILE, b"longer than before")
    (target / "file").write_text("short")
    os.utime(target / "file", ns=(0, 77))
    directory = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    try:
        copy_in(StillShare(tree), b"file", directory, b"file")
    finally:
        os.close(directory)

    node = tree.volume.node(tree.at(b"file"))
    assert tree.volume.read(node, 0, 100) == b"short"
    assert node.mtime == 77
    assert list(tree.names(TOP).names) == [b"file"]
