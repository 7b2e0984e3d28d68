# SPDX-License-Identifier: BSD-2-Clause
"""What a commit has put on disk."""

from __future__ import annotations

from pathlib import Path

from manager.lazy import dataclass
from manager.snapshot.image import RamRegion
from manager.snapshot.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Written:
    """What is on disk now."""

    directory: Path
    id: bytes
    """The hash of its manifest."""
    manifest: Manifest
    fresh: tuple[RamRegion, ...]
    """Those regions that were written whole."""
