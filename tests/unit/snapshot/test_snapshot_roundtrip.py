# SPDX-License-Identifier: BSD-2-Clause
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from manager.bus.record import Record
from manager.errors import HostError, SnapshotMismatchError, VmmgrError
from manager.snapshot.image import Image, RamRegion
from manager.snapshot.read import open_snapshot, verify_snapshot
from manager.snapshot.write import write_snapshot

MakeImage = Callable[..., Image]
Ram = list[tuple[int, bytearray]]


def test_everything_that_was_written_is_read_back(
    saved: Path, make_image: MakeImage, sample_type: type[Record], ram: Ram
) -> None:
    image = make_image()

    opened = verify_snapshot(saved)

    assert opened.header.machine == "demo"
    assert opened.header.writer == "0.1.0"
    assert (opened.header.virtual_time, opened.header.executed) == (123_456, 120_000)
    assert opened.header.identity_hash == image.identity_hash
    assert opened.header.full_hash == image.full_hash
    assert opened.manifest.identity == image.identity
    assert opened.manifest.config == image.config
    assert opened.devices == {"slots.4": "sample", "lpc.com1": "sample"}
    assert opened.record("slots.4", sample_type) == image.records["slots.4"]
    assert opened.record("lpc.com1", sample_type) == image.records["lpc.com1"]
    assert [(base, bytearray(mapping)) for base, mapping in opened.map_ram()] == ram


def test_the_same_machine_gives_the_same_bytes(tmp_path: Path, make_image: MakeImage) -> None:
    write_snapshot(tmp_path / "a", make_image())
    write_snapshot(tmp_path / "b", make_image())

    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "b").iterdir())
    assert all(
        (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        for name in names
    )


def test_it_opens_by_directory_file_and_link(saved: Path) -> None:
    (saved.parent / "link").symlink_to("saved")

    for path in (saved, saved / "snapshot.vmms", saved.parent / "link"):
        assert open_snapshot(path).directory == saved


def test_writes_to_mapped_ram_never_reach_the_files(saved: Path, ram: Ram) -> None:
    _, mapping = open_snapshot(saved).map_ram()[0]

    mapping[0:6] = b"XXXXXX"

    _, again = verify_snapshot(saved).map_ram()[0]
    assert again[:] == ram[0][1]


def test_pages_of_zeros_take_no_disk(tmp_path: Path, make_image: MakeImage) -> None:
    data = bytearray(16 << 20)
    data[5 << 20] = 1

    write_snapshot(tmp_path / "s", make_image(ram=[RamRegion(0, data)]))

    opened = verify_snapshot(tmp_path / "s")
    assert opened.ram_size == 16 << 20
    assert opened.ram_on_disk <= 64 << 10


@pytest.mark.parametrize("pages", [[], [0], [255], [256], [256, 511], [512], [0, 2, 4, 512]])
def test_any_pattern_of_nonzero_pages_comes_back(
    tmp_path: Path, make_image: MakeImage, pages: list[int]
) -> None:
    data = bytearray(513 * 4096)
    for page in pages:
        data[page * 4096 + 4095] = 0xEE

    write_snapshot(tmp_path / "s", make_image(ram=[RamRegion(0x100000, data)]))

    [(base, mapping)] = verify_snapshot(tmp_path / "s").map_ram()
    assert (base, bytearray(mapping)) == (0x100000, data)


def test_equal_regions_share_one_file(tmp_path: Path, make_image: MakeImage) -> None:
    regions = [RamRegion(base, b"\x07" * 4096) for base in (0x2000, 0)]

    write_snapshot(tmp_path / "s", make_image(ram=regions))

    assert len(list((tmp_path / "s").glob("*.ram"))) == 1
    mapped = verify_snapshot(tmp_path / "s").map_ram()
    assert [base for base, _ in mapped] == [0, 0x2000]


def test_files_cannot_be_written_and_the_directory_is_private(saved: Path) -> None:
    assert saved.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in saved.iterdir()} == {0o400}


def test_an_existing_directory_is_not_overwritten(saved: Path, make_image: MakeImage) -> None:
    with pytest.raises(HostError, match="exists"):
        write_snapshot(saved, make_image())
    verify_snapshot(saved)


def test_state_that_does_not_fit_its_schema_is_refused_by_name(
    tmp_path: Path, make_image: MakeImage, sample_type: type[Record]
) -> None:
    broken = sample_type()
    broken.ier = 0x100  # type: ignore[attr-defined]

    with pytest.raises(VmmgrError, match=r"slots\.4\.ier: 256 is outside 0\.\.255"):
        write_snapshot(tmp_path / "s", make_image(records={"slots.4": broken}))
    assert list(tmp_path.iterdir()) == []


def test_the_device_sets_are_compared_both_ways_in_one_message(saved: Path) -> None:
    opened = open_snapshot(saved)
    opened.check_device_set({"slots.4": "sample", "lpc.com1": "sample"})

    with pytest.raises(SnapshotMismatchError) as caught:
        opened.check_device_set({"slots.5": "uart", "lpc.com1": "rtc"})

    text = str(caught.value)
    assert "only in the machine file: slots.5 (uart)" in text
    assert "only in the snapshot: slots.4 (sample)" in text
    assert "changed: lpc.com1: sample in the snapshot, rtc in the machine file" in text
    assert "help: bring the machine file back" in text


def test_asking_for_a_device_that_is_not_there_names_it(
    saved: Path, sample_type: type[Record]
) -> None:
    with pytest.raises(SnapshotMismatchError, match=r"slots\.9 is not there as a sample"):
        open_snapshot(saved).record("slots.9", sample_type)
