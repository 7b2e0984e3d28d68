# SPDX-License-Identifier: BSD-2-Clause
"""Images by content, and images made from folders, with the host's real tools."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from manager.errors import HostError, UsageError, VmmgrError
from manager.storage.images import file_hash, open_folder, open_image


def tool(name: str) -> None:
    if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None:
        pytest.skip(f"{name} is not installed")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(os.urandom(4096) + bytes(1 << 20))
    return path


def test_a_raw_image_is_read_where_it_is(raw: Path, cache: Path) -> None:
    image = open_image(raw, cache)

    assert image.path == raw
    assert image.read(512, 1024) == raw.read_bytes()[512:1536]


def test_the_hash_of_an_image_follows_its_content(raw: Path, cache: Path) -> None:
    before = file_hash(raw, cache)
    assert file_hash(raw, cache) == before
    with raw.open("r+b") as file:
        file.write(b"changed")

    assert file_hash(raw, cache) != before


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.touch(), "is empty"),
        (lambda path: path.write_bytes(b"x" * 700), "700 bytes"),
        (lambda path: os.mkfifo(path), "no regular file"),
        (lambda path: path.write_bytes(b"KDMV" + bytes(508)), "VMDK"),
        (lambda path: None, "No such file"),
    ],
    ids=["folder", "empty", "odd size", "fifo", "vmdk", "missing"],
)
def test_what_is_no_disk_is_refused_by_name(
    make: object, words: str, tmp_path: Path, cache: Path
) -> None:
    path = tmp_path / "odd.img"
    make(path)  # type: ignore[operator]

    with pytest.raises(VmmgrError, match=words) as caught:
        open_image(path, cache)
    assert str(path) in caught.value.message


class TestQcow2:
    @pytest.fixture(autouse=True)
    def _tool(self) -> None:
        tool("qemu-img")

    def make(self, *arguments: str | Path) -> None:
        subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True)

    def test_content_is_that_of_the_image_and_its_backing_file(
        self, raw: Path, tmp_path: Path, cache: Path
    ) -> None:
        top = tmp_path / "top.qcow2"
        self.make("create", "-f", "qcow2", "-b", raw, "-F", "raw", top)

        image = open_image(top, cache)

        assert image.read(0, image.size) == raw.read_bytes()

    def test_a_missing_backing_file_is_named(self, raw: Path, tmp_path: Path, cache: Path) -> None:
        top = tmp_path / "top.qcow2"
        self.make("create", "-f", "qcow2", "-b", raw, "-F", "raw", top)
        raw.unlink()

        with pytest.raises(HostError, match=r"disk\.img"):
            open_image(top, cache)

    def test_a_truncated_one_is_refused(self, tmp_path: Path, cache: Path) -> None:
        path = tmp_path / "short.qcow2"
        self.make("create", "-f", "qcow2", path, "1M")
        os.truncate(path, 60)

        with pytest.raises(HostError, match=r"short\.qcow2"):
            open_image(path, cache)

    def test_an_encrypted_one_is_refused(self, tmp_path: Path, cache: Path) -> None:
        path = tmp_path / "secret.qcow2"
        secret = ["--object", "secret,id=s,data=word"]
        options = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10"
        self.make("create", *secret, "-f", "qcow2", "-o", options, path, "1M")

        with pytest.raises(UsageError, match="encrypted"):
            open_image(path, cache)


NAMES = {
    "ext4": ["a", "b c", 'q"uote', "späť", "dir/sub/deep", "-dash", "$x;`y`"],
    "iso": ["a", "b c", "dir/sub/deep", "-dash"],
    "fat": ["a", "b c", "dir/sub/deep", "-dash"],
}


def folder_of(top: Path, names: list[str], *, link: bool) -> Path:
    for name in names:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(name.encode() * 3000)
    if link:
        (top / "link").symlink_to("dir/sub/deep")
    return top


@pytest.mark.parametrize(
    ("format", "program"), [("ext4", "debugfs"), ("iso", "xorriso"), ("fat", "mcopy")]
)
def test_equal_folders_give_equal_images(format: str, program: str, tmp_path: Path) -> None:
    tool(program)
    names = NAMES[format]
    images = []
    for turn, order in enumerate((names, names[::-1])):
        folder = folder_of(tmp_path / f"folder{turn}", order, link=format != "fat")
        os.utime(folder / names[0], (turn, turn))
        image = open_folder(folder, format, None, tmp_path / f"cache{turn}")
        images.append(image.read(0, image.size))

    assert images[0] == images[1]


def test_an_ext4_image_has_all_of_the_folder(tmp_path: Path, cache: Path) -> None:
    tool("debugfs")
    folder = folder_of(tmp_path / "folder", NAMES["ext4"], link=True)
    image = open_folder(folder, "ext4", None, cache)

    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(
        ["debugfs", "-R", f"rdump / {out}", image.path],
        check=True,
        capture_output=True,
        env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"},
    )

    for name in NAMES["ext4"]:
        assert (out / name).read_bytes() == (folder / name).read_bytes()
    assert (out / "link").readlink() == Path("dir/sub/deep")


def test_content_that_does_not_fit_is_refused(tmp_path: Path, cache: Path) -> None:
    tool("debugfs")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "big").write_bytes(os.urandom(12 << 20))

    with pytest.raises(VmmgrError, match="debugfs") as caught:
        open_folder(folder, "ext4", 8 << 20, cache)
    assert "size" in str(caught.value.help)
    assert list(cache.glob("*.ext4")) == []


def test_a_missing_tool_names_its_package(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path / "folder", ["a"], link=False)
    monkeypatch.setattr("manager.storage.tools._MORE_PLACES", "")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(HostError, match="mke2fs") as caught:
        open_folder(folder, "ext4", None, cache)
    assert "e2fsprogs" in str(caught.value.help)
