# SPDX-License-Identifier: BSD-2-Clause
"""What the host changes in a share while a guest has it."""

from __future__ import annotations

import errno
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manager.storage.base import Zeros
from manager.storage.blocks import DiskBlocks
from manager.storage.disk import Disk
from manager.storage.share.changes import (
    DIRECTORY,
    DROP,
    FILE,
    LINK,
    Change,
    make,
    packed,
    unpacked,
)
from manager.storage.share.layout import TOP
from manager.storage.share.tree import New, Tree
from manager.storage.share.volume import Volume
from manager.storage.write_log import WriteLog

NOW = 5


def tree_of(size: int = 8 << 20) -> Tree:
    disk = Disk(Zeros(size), WriteLog.nameless())
    return Tree(Volume(DiskBlocks(disk, "src", lambda text: None)))


@pytest.fixture
def tree() -> Tree:
    return tree_of()


def change(tree: Tree, *changes: Change) -> None:
    for one in unpacked(packed(changes)):
        make(tree, one, NOW, tree.release)


def content(tree: Tree, path: bytes) -> bytes:
    return tree.volume.read(tree.volume.node(tree.at(path)), 0, 1 << 20)


def names(tree: Tree) -> set[bytes]:
    return set(tree.names(TOP).names)


def refused(number: int, tree: Tree, one: Change) -> None:
    with pytest.raises(OSError) as error:
        change(tree, one)
    assert errno.errorcode[error.value.errno or 0] == errno.errorcode[number]
    assert error.value.filename == one.path


def test_a_file_takes_its_place_when_it_is_whole(tree: Tree) -> None:
    change(tree, Change(FILE, b"a", 0o644, b"before"))
    change(tree, Change(FILE, b"a", 0o4755, b"one ", is_last=False))
    assert content(tree, b"a") == b"before"
    change(tree, Change(FILE, b"a", 0o4755, b"two", 4))

    assert content(tree, b"a") == b"one two"
    assert names(tree) == {b"a"}
    assert tree.volume.node(tree.at(b"a")).mode == stat.S_IFREG | 0o755
    assert tree.volume.node(tree.at(b"a")).mtime == NOW


def test_directories_and_links(tree: Tree) -> None:
    change(tree, Change(DIRECTORY, b"d", 0o750), Change(DIRECTORY, b"d", 0o700))
    change(tree, Change(LINK, b"d/\xff", content=b"../.."), Change(FILE, b"d/f", 0o600, b""))

    assert tree.volume.node(tree.at(b"d")).mode == stat.S_IFDIR | 0o750
    assert tree.target(tree.volume.node(tree.at(b"d/\xff"))) == b"../.."
    refused(errno.EISDIR, tree, Change(FILE, b"d", content=b"x"))
    refused(errno.EISDIR, tree, Change(LINK, b"d", content=b"x"))
    refused(errno.ENOTDIR, tree, Change(DIRECTORY, b"d/f"))
    refused(errno.ENOTDIR, tree, Change(FILE, b"d/\xff/x"))
    refused(errno.ENOENT, tree, Change(FILE, b"d/../x"))
    refused(errno.EINVAL, tree, Change(DIRECTORY, b".."))
    refused(errno.EINVAL, tree, Change(9, b"x"))


def test_a_guest_that_meddles_gets_no_half_a_file(tree: Tree) -> None:
    change(tree, Change(FILE, b"a", 0o644, b"one ", is_last=False))
    (part,) = names(tree)
    number = tree.at(part)
    tree.volume.write(number, tree.volume.node(number), 4, b"more", NOW)
    refused(errno.ESTALE, tree, Change(FILE, b"a", 0o644, b"two", 4))
    refused(errno.ENOENT, tree, Change(FILE, b"a", 0o644, b"two", 4))
    tree.create(TOP, part, New(stat.S_IFLNK | 0o777, 0, 0), NOW, b"/etc/passwd")
    refused(errno.ESTALE, tree, Change(FILE, b"a", 0o644, b"two", 4))

    assert names(tree) == set()


def test_what_finds_no_room_leaves_nothing() -> None:
    tree = tree_of(1 << 20)
    free = tree.volume.room()
    change(tree, Change(FILE, b"a", 0o644, bytes(200_000), is_last=False))
    refused(errno.ENOSPC, tree, Change(FILE, b"a", 0o644, bytes(900_000), 200_000))

    assert names(tree) == set()
    change(tree, Change(FILE, b"a", 0o644, b"small", is_last=False), Change(DROP, b"a"))
    change(tree, Change(DROP, b"a"))
    assert names(tree) == set()
    assert tree.volume.room()[1] >= free[1] - 32  # the top's own entries and the table's


@given(st.binary(max_size=200))
def test_a_log_that_lies_is_refused(data: bytes) -> None:
    tree = tree_of()
    try:
        for one in unpacked(data):
            make(tree, one, NOW, tree.release)
    except OSError as error:
        assert error.errno  # noqa: PT017  anything else escapes
