# SPDX-License-Identifier: BSD-2-Clause
"""Where images that were made from something else, and hashes of images, are kept."""

from __future__ import annotations

import os
from pathlib import Path


def image_cache() -> Path:
    """$VMMGR_STATE_HOME/.images, else $XDG_CACHE_HOME/vmmgr, else ~/.cache/vmmgr.

    All of it can be made again: it may be removed at any time when no machine runs.
    """
    if own := os.environ.get("VMMGR_STATE_HOME"):
        return Path(own).absolute() / ".images"
    shared = os.environ.get("XDG_CACHE_HOME", "")
    if shared.startswith("/"):
        return Path(shared) / "vmmgr"
    return Path(os.environ.get("HOME", "/tmp")).absolute() / ".cache" / "vmmgr"  # noqa: S108
