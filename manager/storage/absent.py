# SPDX-License-Identifier: BSD-2-Clause
"""What is said of an image that cannot be opened."""

from __future__ import annotations

from pathlib import Path

from manager.errors import HostError


def unopened(path: Path, error: OSError) -> HostError:
    """The error, with a remedy where the file is missing."""
    help = None
    if isinstance(error, FileNotFoundError):
        help = "put it there: snapshots and archives hold what was written, not the image itself"
    return HostError(f"disk image {path}: {error.strerror}", help=help)
