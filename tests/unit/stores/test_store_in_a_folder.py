# SPDX-License-Identifier: BSD-2-Clause
"""Pushing to and pulling from an OCI image layout: whole, sparing, and wary of what it finds."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
import zstandard
from blake3 import blake3
from support.stores import Forged, bring, content, neighbours, send

from manager.errors import ExitCode, HostError, SnapshotCorruptError, VmmgrError
from manager.snapshot.read import verify_snapshot
from manager.snapshot.store import Store
from manager.stores.names import StoredName
from manager.stores.places import open_remote


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return neighbours(tmp_path_factory.mktemp("machine"))


@pytest.fixture
def place(tmp_path: Path) -> str:
    return f"oci-layout:{tmp_path / 'shared'}"


def test_what_is_pulled_is_what_was_pushed(saved: Store, place: str, tmp_path: Path) -> None:
    for tag in ("base", "later"):
        send(saved, tag, place)
        bring(place, tag, tmp_path)

        path = saved.path(tag)
        assert path is not None
        assert content(tmp_path / tag) == content(path)
        assert not list((tmp_path / "unfinished").iterdir())
        verify_snapshot(tmp_path / tag)


def test_a_neighbour_costs_its_difference_both_ways(
    saved: Store, place: str, tmp_path: Path
) -> None:
    first, second = send(saved, "base", place), send(saved, "later", place)
    assert first.bytes_sent > 1_000_000
    assert second.bytes_sent < 60_000
    again = send(saved, "later", place)
    assert (again.bytes_sent, again.chunks_sent, again.digest) == (0, 0, second.digest)

    whole = bring(place, "base", tmp_path)
    rest = bring(place, "later", tmp_path, [tmp_path / "base"])
    assert whole.bytes_fetched > 1_000_000
    assert rest.bytes_fetched < 60_000
    verify_snapshot(tmp_path / "later")


def test_a_damaged_neighbour_is_not_shared(saved: Store, place: str, tmp_path: Path) -> None:
    for tag in ("base", "later"):
        send(saved, tag, place)
    bring(place, "base", tmp_path)
    largest = max((tmp_path / "base").iterdir(), key=lambda path: path.stat().st_size)
    largest.chmod(0o600)
    with largest.open("r+b") as file:
        file.seek(0x70000)
        file.write(b"else")

    assert bring(place, "later", tmp_path, [tmp_path / "base"]).bytes_fetched > 500_000
    verify_snapshot(tmp_path / "later")


def test_a_second_pull_fetches_what_the_first_one_did_not(
    saved: Store, place: str, tmp_path: Path
) -> None:
    sent = send(saved, "base", place)
    chunks = _chunk_files(place)
    lost = chunks[len(chunks) // 2]
    lost.rename(tmp_path / "lost")
    with pytest.raises(SnapshotCorruptError, match=f"{lost.name} is missing"):
        bring(place, "base", tmp_path)
    (tmp_path / "lost").rename(lost)

    rest = bring(place, "base", tmp_path)
    assert 0 < rest.chunks_fetched < sent.chunks
    verify_snapshot(tmp_path / "base")


def _chunk_files(place: str) -> list[Path]:
    """The blobs of the only snapshot, in its order."""
    forged = Forged(Path(place.removeprefix("oci-layout:")))
    return [forged.blobs / layer["digest"][7:] for layer in forged.manifest["layers"]]


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": lambda path: path.write_bytes(_flipped(path.read_bytes())),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b" "),
    "empty": lambda path: os.truncate(path, 0),
    "gone": lambda path: path.unlink(),
    "a link": lambda path: (path.unlink(), path.symlink_to("/etc/passwd")),
    "a FIFO": lambda path: (path.unlink(), os.mkfifo(path)),
    "huge": lambda path: os.truncate(path, 1 << 40),
}


def _flipped(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_to_any_blob_is_one_clear_error(
    damage: str, saved: Store, place: str, tmp_path: Path
) -> None:
    send(saved, "base", place)
    for blob in sorted((tmp_path / "shared" / "blobs" / "sha256").iterdir()):
        kept = blob.read_bytes()
        DAMAGES[damage](blob)
        with pytest.raises(VmmgrError) as caught:
            bring(place, "base", tmp_path / blob.name)
        assert caught.value.exit_code in (ExitCode.SNAPSHOT_CORRUPT, ExitCode.FAILURE)
        assert caught.value.help
        assert not (tmp_path / blob.name / "base").exists()
        blob.unlink(missing_ok=True)
        blob.write_bytes(kept)
    bring(place, "base", tmp_path)
    verify_snapshot(tmp_path / "base")


def _set(**changes: object) -> Callable[[Forged], None]:
    return lambda forged: forged.manifest.update(changes)


def _file(**changes: object) -> Callable[[Forged], None]:
    return lambda forged: forged.index["files"][1].update(changes)


def _name(name: str) -> Callable[[Forged], None]:
    """Another file, which would be written if its name were believed."""
    return lambda forged: forged.index["files"][1].update(name=name)


def _bomb(forged: Forged) -> None:
    """A chunk of 4 KiB that unpacks to 1 GiB."""
    data = zstandard.ZstdCompressor(level=19).compress(bytes(256 << 20))
    media_type = forged.manifest["layers"][0]["mediaType"]
    forged.manifest["layers"][0] = forged.add(data, media_type)


def _other_content(forged: Forged) -> None:
    """Another content, with right hashes of its own."""
    number = len(forged.manifest["layers"]) - 1
    length, _ = forged.index["chunks"][number]
    other = bytes(length - 1) + b"x"
    data = zstandard.ZstdCompressor().compress(other)
    forged.manifest["layers"][number] = forged.add(data, forged.manifest["layers"][0]["mediaType"])
    forged.index["chunks"][number] = [length, blake3(other).hexdigest()]


def _nested(forged: Forged) -> None:
    forged.manifest["config"] = forged.add(b"[" * 100_000, forged.manifest["config"]["mediaType"])


FORGERIES: dict[str, Callable[[Forged], None]] = {
    "no layers": _set(layers=[]),
    "layers of no kind": _set(layers=[{}]),
    "layers no list": _set(layers=7),
    "config missing": _set(config=None),
    "annotations missing": _set(annotations=None),
    "another artifact": _set(artifactType="application/vnd.other"),
    "a path upwards": _name("../../escaped.ram"),
    "an absolute path": _name("/tmp/escaped.ram"),
    "a NUL in a name": _name("a\0b"),
    "a huge length": _file(length=1 << 51),
    "no length": _file(length=-1),
    "a length that is true": _file(length=True),
    "pieces over each other": _file(pieces=[[0, 1], [1, 1]]),
    "a piece outside": _file(pieces=[[1 << 40, 1]]),
    "a chunk that is not there": _file(pieces=[[0, 1 << 20]]),
    "pieces no pairs": _file(pieces=[[0]]),
    "nothing but zeros": _file(pieces=[]),
    "no state": lambda forged: forged.index["files"].pop(0),
    "the state of none": lambda forged: forged.index["files"][0].update(pieces=[]),
    "a newer schema": lambda forged: forged.index.update(schema=2),
    "another snapshot's id": lambda forged: forged.manifest["annotations"].update(
        {"org.vmmgr.snapshot": "0" * 64}
    ),
    "a bomb": _bomb,
    "other content": _other_content,
    "nested JSON": _nested,
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_snapshot_is_refused_and_leaves_nothing(
    forgery: str, saved: Store, place: str, tmp_path: Path
) -> None:
    send(saved, "base", place)
    Forged(tmp_path / "shared").write(FORGERIES[forgery])

    with pytest.raises(SnapshotCorruptError) as caught:
        bring(place, "base", tmp_path)
    assert place in caught.value.message
    known = {"shared", "unfinished"}
    assert {path.name for path in tmp_path.iterdir()} <= known
    assert not Path("/tmp/escaped.ram").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"manifests": 7}', '{"manifests": [7]}', "{" * 100_000]
)
def test_a_forged_list_of_names_is_refused(
    text: str, saved: Store, place: str, tmp_path: Path
) -> None:
    send(saved, "base", place)
    (tmp_path / "shared" / "index.json").write_text(text)

    for action in (open_remote(place).names, lambda: open_remote(place).prune([], 0)):
        with pytest.raises(SnapshotCorruptError, match=r"index\.json"):
            action()


def test_pushes_at_once_and_a_prune_lose_nothing(saved: Store, place: str, tmp_path: Path) -> None:
    send(saved, "base", place)
    remote = open_remote(place)
    names = [f"small-{number}" for number in range(6)]
    threads = [Thread(target=send, args=(saved, "later", place, name)) for name in names]
    threads.append(Thread(target=remote.prune, args=([], 0)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {name.machine for name in remote.names()} == {"small", *names}
    for name in names:
        bring(place, "later", tmp_path / name, name=name)


def test_a_prune_removes_what_no_name_leads_to_and_is_old_enough(
    saved: Store, place: str, tmp_path: Path
) -> None:
    for tag in ("base", "later"):
        send(saved, tag, place)
    blobs = tmp_path / "shared" / "blobs" / "sha256"
    (blobs / ".tmp-cut-short").write_bytes(b"half")
    (blobs / ("0" * 64)).write_bytes(b"of a push that was killed")
    remote = open_remote(place)

    assert remote.prune([], 3600).blobs == 0
    old = time.time() - 7200
    os.utime(blobs / ("0" * 64), (old, old))
    assert remote.prune([], 3600).blobs == 1
    done = remote.prune([StoredName("small", "base")], 0)
    assert done.blobs >= 3
    assert remote.names() == [StoredName("small", "later")]
    bring(place, "later", tmp_path)
    verify_snapshot(tmp_path / "later")


def test_what_other_tools_keep_in_a_layout_stays(saved: Store, place: str, tmp_path: Path) -> None:
    send(saved, "base", place)
    root = tmp_path / "shared"
    forged = Forged(root)
    layer = forged.add(b"a layer", "application/vnd.oci.image.layer.v1.tar")
    image = {"schemaVersion": 2, "config": forged.add(b"{}", "x/y"), "layers": [layer]}
    kind = "application/vnd.oci.image.manifest.v1+json"
    inner = {"manifests": [forged.add(json.dumps(image).encode(), kind)]}
    outer = forged.add(json.dumps(inner).encode(), "application/vnd.oci.image.index.v1+json")
    forged.layout["manifests"].append(outer)
    forged.write(lambda _: None)

    send(saved, "later", place)
    open_remote(place).prune([], 0)
    assert (forged.blobs / layer["digest"][7:]).exists()
    assert len(Forged(root).layout["manifests"]) == 3


def test_a_folder_with_something_else_in_it_is_left_alone(saved: Store, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpeg").touch()

    with pytest.raises(HostError, match="something else in it"):
        send(saved, "base", f"file://{tmp_path}/photos")
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.jpeg"]
