# SPDX-License-Identifier: BSD-2-Clause
"""Writing what lies over an image into the image, so that a crash at any point loses nothing.

Before the image is touched, an intent is written down: the hash that the image has and the one that
it will have. From then on the layers are kept until the image has been found to be the second. A
crash in between leaves an image that is neither; to write the layers once more makes it whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blake3 import blake3

from manager import files
from manager.errors import HostError, SnapshotMismatchError
from manager.lazy import dataclass
from manager.storage.disk import Disk
from manager.storage.images import file_hash
from manager.storage.layer import write_all


@contextmanager
def _failures(image: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HostError(
            f"disk image {image} cannot be written: {error.strerror}",
            help="what the machine wrote is kept; `vmmgr disk commit` tries again",
        ) from error


@dataclass(frozen=True, slots=True)
class Intent:
    """An image that is about to be written."""

    image: Path
    before: bytes
    """The BLAKE3 hash of its content."""
    after: bytes

    @classmethod
    def of(cls, disk: Disk, image: Path) -> Intent:
        """To write all of `disk` into `image`, its base. Raises HostError."""
        state = blake3()
        with _failures(image):
            for piece in disk.content():
                state.update(piece)
        return cls(image, disk.base.digest, state.digest())

    def write(self, path: Path) -> None:
        """Write it down durably. Raises HostError."""
        plain = {
            "image": str(self.image),
            "before": self.before.hex(),
            "after": self.after.hex(),
        }
        with _failures(self.image):
            files.replace(path, json.dumps(plain).encode())

    @classmethod
    def read(cls, path: Path) -> Intent | None:
        """What is written down; None when nothing is. Raises HostError."""
        try:
            plain = files.parse_json(files.read_own(path))
            before, after = (bytes.fromhex(plain[key]) for key in ("before", "after"))
            return cls(Path(plain["image"]), before, after)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise HostError(f"{path} cannot be read: {error}", help="remove it") from error

    def carry_out(self, disk: Disk, cache: Path) -> None:
        """Write `disk` into the image, durably; any number of times.

        `cache` is where hashes of images are kept. Raises SnapshotMismatchError when the image is
        not what was meant afterwards, because another has written it meanwhile; HostError.
        """
        with _failures(self.image), self.image.open("r+b", buffering=0) as file:
            for offset, piece in disk.pieces_of(disk.written_blocks()):
                write_all(file.fileno(), piece, offset)
            os.fsync(file.fileno())
        if file_hash(self.image, cache) != self.after:
            raise SnapshotMismatchError(
                f"disk image {self.image} was changed while vmmgr wrote it",
                help="put back what it was before; what the machine wrote is kept",
            )
