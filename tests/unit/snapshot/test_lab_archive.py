# SPDX-License-Identifier: BSD-2-Clause
"""A lab's snapshot as one file: there and back, and hostile files."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from blake3 import blake3

from manager import cbor
from manager.errors import SnapshotCorruptError
from manager.lab.saved import LabRecord, Over
from manager.snapshot.image import Image
from manager.snapshot.store import Store
from manager.state.lab import commit, open_lab, verify_lab
from manager.state.lab_moves import export_lab, import_lab
from manager.state.paths import MachinePaths

Edit = Callable[[bytearray], bytes | bytearray | None]
NOW = 100_000


@pytest.fixture
def lab(tmp_path: Path, make_image: Callable[..., Image]) -> MachinePaths:
    """A lab of two machines and one that is over, saved."""
    paths = MachinePaths.of("duo", tmp_path / "home")
    images = {name: make_image(machine=f"duo/{name}") for name in ("asks", "b")}
    for name in images:
        paths.member(name).make()
    record = LabRecord(NOW, "1d", {"links": {}}, {"c": Over("down", 0, "")}, {"source": "x"})
    commit(paths, record, images)
    return paths


@pytest.fixture
def packed(lab: MachinePaths, tmp_path: Path) -> Path:
    export_lab(open_lab(lab), tmp_path / "duo.zst")
    return tmp_path / "duo.zst"


@pytest.fixture
def other(tmp_path: Path) -> MachinePaths:
    """A lab of another home, of which nothing is known."""
    paths = MachinePaths.of("other", tmp_path / "elsewhere")
    paths.make()
    return paths


def content_of(file: Path) -> bytearray:
    return bytearray(zstandard.ZstdDecompressor().decompressobj().decompress(file.read_bytes()))


def repack(file: Path, edit: Edit) -> None:
    content = content_of(file)
    changed = edit(content)
    file.write_bytes(zstandard.ZstdCompressor().compress(bytes(changed or content)))


def forged(**changes: Any) -> Edit:
    """The record says something else, and its hash fits."""

    def edit(content: bytearray) -> bytes:
        length = int(content[124:135], 8)
        plain = cbor.decode(bytes(content[512 + 32 : 512 + length]))
        assert isinstance(plain, dict)
        data = cbor.encode({**plain, **changes})
        data = blake3(data).digest() + data
        head = bytearray(content[:512])
        head[124:135] = f"{len(data):011o}".encode()
        head[148:156] = b" " * 8
        head[148:156] = f"{sum(head):06o}\0 ".encode()
        rest = bytes(content[512 + length + -length % 512 :])
        return bytes(head) + data + bytes(-len(data) % 512) + rest

    return edit


def test_a_lab_comes_back_from_its_archive_as_it_was(
    lab: MachinePaths, packed: Path, other: MachinePaths
) -> None:
    import_lab(packed, other, "here")

    one, two = open_lab(lab), verify_lab(other, "here")
    assert two.record == one.record
    assert [part.id for part in two.machines.values()] == [
        part.id for part in one.machines.values()
    ]
    assert [member.name for member in other.members()] == ["other/asks", "other/b", "other/c"]


def test_common_tools_can_list_it(packed: Path) -> None:
    listed = subprocess.run(
        ["tar", "-tf", "-"], input=bytes(content_of(packed)), capture_output=True, check=True
    )

    names = listed.stdout.decode().split()
    assert names[:2] == ["lab.cbor", "asks/snapshot.vmms"]
    assert {name.partition("/")[0] for name in names[1:]} == {"asks", "b"}


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda c: c[:-700], "too early"),
        (lambda c: c[:300], "too early"),
        (lambda c: c + bytes(512), "something follows"),
        (lambda c: c.__setitem__(600, c[600] ^ 1), "not what was written"),
        (lambda c: c.__setitem__(-3000, c[-3000] ^ 1), "expected hash"),
        (lambda c: c.__setitem__(slice(124, 136), b"77777777777\0"), "expected the file lab.cbor"),
        (lambda c: c.replace(b"asks", b"a/ks"), "not what was written"),
        (forged(machines={"../../../x": bytes(32)}), "no name of a machine"),
        (forged(machines={"asks": bytes(32)}), "not the one saved with the lab"),
        (forged(machines={"zz": bytes(32)}), "expected the file zz/snapshot.vmms"),
        (forged(machines={"asks": 5}), "id of a snapshot"),
        (forged(machines={}), "all machines of the lab are over"),
        (forged(machines={}, over={}), "no machine"),
        (forged(machines=[]), "no map"),
        (forged(over={"../x": {"kind": "down", "status": 0, "detail": ""}}), "no name"),
        (forged(over={"c": {"kind": 1, "status": 0, "detail": ""}}), "end of a machine"),
        (forged(over={"c": {"kind": "down"}}), "cannot read it"),
        (forged(now=-1), "its time"),
        (forged(now=1 << 62), "not the one saved with the lab"),
        (forged(format=2), "format 2"),
    ],
)
def test_archives_that_export_did_not_write_are_refused_and_leave_nothing(
    packed: Path, other: MachinePaths, edit: Edit, fault: str
) -> None:
    repack(packed, edit)

    with pytest.raises(SnapshotCorruptError, match=re.escape(fault)):
        import_lab(packed, other)

    assert [entry.name for entry in other.directory.rglob("*")] == ["snapshots"]


def test_random_damage_is_always_a_clean_error(packed: Path, other: MachinePaths) -> None:
    good = packed.read_bytes()
    chance = random.Random(6)
    for number in range(60):
        bad = bytearray(good)
        if number % 3 == 0:
            del bad[chance.randrange(len(bad)) :]
        else:
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        packed.write_bytes(bad)
        try:
            import_lab(packed, other)
        except SnapshotCorruptError:
            assert Store(other.snapshots).tags() == []
        else:
            assert bad == good
            Store(other.snapshots).discard()
