# SPDX-License-Identifier: BSD-2-Clause
"""A small machine to save, and a way to forge snapshots whose hashes are all right."""

from __future__ import annotations

import importlib.util
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support import forgery

from manager.bus.record import (
    NEVER,
    Record,
    flag,
    ints,
    moment,
    nested,
    octets,
    several,
    text,
    uint,
)
from manager.snapshot.image import Image, RamRegion
from manager.snapshot.write import write_snapshot

PAGE = 4096
READER = Path(__file__).with_name("independent_reader.py")


@pytest.fixture(scope="session")
def reader() -> ModuleType:
    """The independent reader, as a module."""
    spec = importlib.util.spec_from_file_location("independent_reader", READER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(slots=True)
class Fifo(Record):
    TYPE = "sample-fifo"

    data: bytearray = octets(0, 16, "bytes waiting")
    trigger: int = uint(2, "trigger level")


@dataclass(slots=True)
class Sample(Record):
    TYPE = "sample"

    ier: int = uint(8, "interrupt enable register")
    armed: bool = flag("whether the timer runs")
    deadline: int = moment("when it fires", NEVER)
    vectors: list[int] = ints(3, 128, "vector registers")
    label: str = text(16, "a label")
    fifo: Fifo = nested(Fifo, "receive FIFO")
    lanes: list[Fifo] = several(Fifo, 2, "lanes")


def sample(ier: int = 5) -> Sample:
    state = Sample(ier=ier, armed=True, label="héllo", vectors=[0, 1 << 64, (1 << 128) - 1])
    state.fifo.data = bytearray(b"\x00\xff")
    return state


@pytest.fixture
def sample_type() -> type[Sample]:
    return Sample


@pytest.fixture
def ram() -> list[tuple[int, bytearray]]:
    """Two regions: the low one ends in zeros, the high one has a single byte on its last page."""
    low, high = bytearray(0x210000), bytearray(4 * PAGE)
    low[:6] = b"vector"
    low[0x100000 - 2 : 0x100000 + 2] = b"span"
    low[PAGE * 3 : PAGE * 5] = bytes(range(1, 129)) * 64
    high[-1] = 0x5A
    return [(0, low), (0xFFFC0000, high)]


@pytest.fixture
def make_image(ram: list[tuple[int, bytearray]]) -> Callable[..., Image]:
    def make(**changes: Any) -> Image:
        values: dict[str, Any] = {
            "machine": "demo",
            "virtual_time": 123_456,
            "executed": 120_000,
            "identity_hash": "1d" * 32,
            "full_hash": "f0" * 32,
            "identity": {"memory": 0x214000, "devices": ["slots.4", "lpc.com1"]},
            "config": {"name": "demo", "slots": {"4": {"device": "uart"}}},
            "records": {"slots.4": sample(), "lpc.com1": sample(7)},
            "ram": [RamRegion(base, data) for base, data in ram],
            "writer": "0.1.0",
        }
        return Image(**(values | changes))

    return make


@pytest.fixture
def saved(tmp_path: Path, make_image: Callable[..., Image]) -> Path:
    """A written snapshot."""
    write_snapshot(tmp_path / "saved", make_image())
    return tmp_path / "saved"


@pytest.fixture
def forge() -> Callable[..., None]:
    """Rewrite a snapshot after an edit of its manifest tree and chunk payloads, hashes and all."""
    return forgery.forge


@pytest.fixture
def put_manifest() -> Callable[[Path, bytes], None]:
    """Replace snapshot.vmms by one with these bytes for a manifest and no chunks."""
    return lambda directory, manifest: forgery.put_file(directory / "snapshot.vmms", [], manifest)


@pytest.fixture
def patch_preamble() -> Callable[[Path, int, bytes], None]:
    """Overwrite bytes of the preamble and make its CRC right again."""

    def patch(directory: Path, offset: int, content: bytes) -> None:
        file = directory / "snapshot.vmms"
        data = bytearray(file.read_bytes())
        data[offset : offset + len(content)] = content
        data[124:128] = zlib.crc32(data[:124]).to_bytes(4, "little")
        file.chmod(0o600)
        file.write_bytes(data)

    return patch
