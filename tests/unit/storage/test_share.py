# SPDX-License-Identifier: BSD-2-Clause
"""Folders that are frozen for a share: what is in them, what differs, what leads out of them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from manager.errors import HostError, UsageError
from manager.storage.blocks import DiskBlocks
from manager.storage.disk import Disk
from manager.storage.share import folder as share_folder
from manager.storage.share import freeze
from manager.storage.share.folder import Folder
from manager.storage.share.freeze import ShareImage, differences, open_share
from manager.storage.share.layout import TOP
from manager.storage.share.tree import Tree
from manager.storage.share.volume import Volume
from manager.storage.write_log import WriteLog


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "src"
    (folder / "b" / "c").mkdir(parents=True)
    (folder / "b" / "c" / "file").write_text("content")
    (folder / "a").write_text("")
    (folder / "link").symlink_to("b/c/../../a")
    return folder


def frozen(source: Path, cache: Path) -> ShareImage:
    return open_share("src", source, cache, read_only=True)


def found(image: ShareImage) -> Iterator[tuple[bytes, int, bytes]]:
    """(path, node, content) of all that is in an image."""
    blocks = DiskBlocks(Disk(image, WriteLog.nameless(), read_only=True), "src", lambda _: None)
    tree = Tree(Volume(blocks))
    waiting = [(b"", TOP)]
    while waiting:
        path, number = waiting.pop(0)
        node = tree.volume.node(number)
        yield path, number, b"" if node.is_directory else tree.volume.read(node, 0, node.size)
        if node.is_directory:
            for child in tree.names(number).names.values():
                waiting.append((path + b"/" + child.name, child.node))


def test_equal_folders_are_equal_images(source: Path, tmp_path: Path) -> None:
    """In whatever order the host made and lists them."""
    other = tmp_path / "other"
    (other / "b" / "c").mkdir(parents=True)
    (other / "link").symlink_to("b/c/../../a")
    (other / "a").write_text("")
    (other / "b" / "c" / "file").write_text("content")
    for folder in (source, other):
        for path in (*folder.rglob("*"), folder):
            os.utime(path, ns=(5, 7), follow_symlinks=False)

    one, two = frozen(source, tmp_path / "1"), frozen(other, tmp_path / "2")

    assert one.digest == two.digest
    assert one.read(0, one.size) == two.read(0, two.size)
    assert list(found(one)) == [
        (b"", 1, b""),
        (b"/a", 2, b""),
        (b"/b", 3, b""),
        (b"/link", 6, b"b/c/../../a"),
        (b"/b/c", 4, b""),
        (b"/b/c/file", 5, b"content"),
    ]


def test_what_differs_is_named(source: Path, tmp_path: Path) -> None:
    before = frozen(source, tmp_path / "cache")
    os.utime(source / "a", ns=(5, 7))
    (source / "b" / "c" / "file").write_text("CONTENT")
    (source / "new").write_text("")
    (source / "link").unlink()

    after = frozen(source, tmp_path / "cache")

    assert differences(before, after) == (
        "a has another time, b/c/file has changed, link is gone and 1 more"
    )


def test_what_is_no_content_is_left_out(source: Path, tmp_path: Path) -> None:
    os.mkfifo(source / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(source / "socket"))
        (source / "a").chmod(0o4755)
        items = {item.path: item.mode for item in Folder("src", source).items()}

    assert set(items) == {b"", b"a", b"b", b"b/c", b"b/c/file", b"link"}
    assert items[b"a"] == 0o100755


def test_a_folder_that_becomes_a_link_leads_nowhere(source: Path, tmp_path: Path) -> None:
    """Between the look at it and the copy, a folder on the way to a file is replaced."""
    folder = Folder("src", source)
    items = folder.items()
    (tmp_path / "secret" / "c").mkdir(parents=True)
    (tmp_path / "secret" / "c" / "file").write_text("content")
    (source / "b").rename(tmp_path / "moved")
    (source / "b").symlink_to(tmp_path / "secret")

    with pytest.raises(HostError, match=r'share "src": .*/b/c/file cannot be read'):
        freeze._make(tmp_path / "image", folder, items)
    assert not (tmp_path / "image").exists()


def test_a_file_that_changes_meanwhile_is_told(source: Path, tmp_path: Path) -> None:
    folder = Folder("src", source)
    items = folder.items()
    (source / "b" / "c" / "file").write_text("CONTENT")

    with pytest.raises(HostError, match="b/c/file changed while it was read"):
        freeze._make(tmp_path / "image", folder, items)


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("MAX_ENTRIES", 3, "more than 3 files"),
        ("MAX_DEPTH", 1, "folders nest more than 1 deep"),
        ("MAX_BYTES", 1, "more than 0 GiB"),
    ],
)
def test_too_much_is_told_with_the_share(
    source: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, message: str
) -> None:
    monkeypatch.setattr(share_folder, limit, value)

    with pytest.raises(UsageError, match=message) as error:
        Folder("src", source).items()
    assert 'share "src"' in error.value.message
