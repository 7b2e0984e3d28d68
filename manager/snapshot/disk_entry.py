# SPDX-License-Identifier: BSD-2-Clause
"""What a manifest says of a disk: the image below, by its hash, and the layers over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from manager.bus.record import Plain, Record, RecordError, from_plain, octets, text, to_plain, uint
from manager.lazy import dataclass
from manager.snapshot import runs
from manager.storage.base import BLOCK, SECTOR

HASH_BYTES = 32
MAX_LAYERS = 64


@dataclass(slots=True)
class DiskLayer(Record):
    """Blocks of a disk, over those of the layers before it."""

    TYPE = "disk-layer"

    file: str = text(64, "which object holds the blocks, packed in ascending order")
    runs: bytes = octets(8, 1 << 24, "which blocks of 4 KiB those are")


@dataclass(slots=True)
class DiskHead(Record):
    """A disk, but for its layers."""

    TYPE = "disk"

    id: str = text(64, "name of the disk in the machine file")
    size: int = uint(52, "size of the disk", unit="bytes")
    base: bytes = octets(0, HASH_BYTES, "hash of the image below the layers; empty for zeros")


@dataclass(slots=True)
class DiskEntry:
    """What a disk holds: an image, which is not part of the snapshot, and layers over it."""

    head: DiskHead
    layers: list[DiskLayer] = field(default_factory=list)
    """The newest last."""

    def to_plain(self) -> dict[str, Plain]:
        """The tree that is stored."""
        return {**to_plain(self.head), "layers": [to_plain(layer) for layer in self.layers]}

    @classmethod
    def from_plain(cls, plain: Plain, where: str) -> DiskEntry:
        """The entry of a tree. Raises RecordError."""
        if not isinstance(plain, dict) or not isinstance(plain.get("layers"), list):
            raise RecordError(f"{where}: expected named fields, and layers among them")
        layers = plain["layers"]
        assert isinstance(layers, list)
        if len(layers) > MAX_LAYERS:
            raise RecordError(f"{where}: more than {MAX_LAYERS} layers")
        head = {key: value for key, value in plain.items() if key != "layers"}
        return cls(
            from_plain(DiskHead, head, DiskHead.VERSION, where),
            [
                from_plain(DiskLayer, layer, DiskLayer.VERSION, f"{where}.layers[{n}]")
                for n, layer in enumerate(layers)
            ],
        )

    def fault(self, lengths: Mapping[str, int]) -> str:
        """What is wrong with it, or an empty string; `lengths` has the objects' by name."""
        if self.head.size == 0 or self.head.size % SECTOR:
            return "its size is not a whole number of sectors"
        if len(self.head.base) not in (0, HASH_BYTES):
            return "the hash of its image is too short"
        for layer in self.layers:
            if found := runs.fault(layer.runs, -(-self.head.size // BLOCK)):
                return found
            if runs.size(layer.runs) != lengths.get(layer.file):
                return f"its blocks are not those of object {layer.file!r}"
        return ""
