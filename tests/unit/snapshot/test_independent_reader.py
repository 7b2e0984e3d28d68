# SPDX-License-Identifier: BSD-2-Clause
from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from manager.bus.record import to_plain
from manager.snapshot.image import Image

READER = Path(__file__).with_name("independent_reader.py")


def test_a_reader_made_from_the_specification_reads_what_we_write(
    saved: Path,
    make_image: Callable[[], Image],
    ram: list[tuple[int, bytearray]],
    reader: ModuleType,
) -> None:
    image = make_image()

    found = reader.read(saved)

    assert found["header"] == {
        "writer": "0.1.0",
        "machine": "demo",
        "virtual_time": 123_456,
        "executed": 120_000,
        "identity_hash": image.identity_hash,
        "full_hash": image.full_hash,
    }
    assert found["config"] == image.config
    assert found["identity"] == image.identity
    assert {name: state["fields"] for name, state in found["devices"].items()} == {
        name: to_plain(record) for name, record in image.records.items()
    }
    assert found["schemas"]["sample"]["fields"]["deadline"]["unit"] == "ns"
    assert found["ram"] == ram


def test_it_needs_nothing_of_ours(saved: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", READER, saved], capture_output=True, text=True, check=True
    )

    assert "manager" not in READER.read_text()
    assert json.loads(done.stdout)["header"]["machine"] == "demo"


def test_it_finds_changed_ram_too(saved: Path, reader: ModuleType) -> None:
    file = next(saved.glob("*.ram"))
    file.chmod(0o600)
    content = bytearray(file.read_bytes())
    content[-1] ^= 0x10
    file.write_bytes(content)

    with pytest.raises(reader.BadSnapshotError, match="hash of segment"):
        reader.read(saved)
