# SPDX-License-Identifier: BSD-2-Clause
"""Snapshots: preamble, manifest, versioned records, RAM objects (docs/snapshot-format.md)."""

from manager.snapshot.image import Image, RamRegion
from manager.snapshot.read import Snapshot, verify
from manager.snapshot.read import open_snapshot as open
from manager.snapshot.store import Store
from manager.snapshot.write import write

__all__ = ["Image", "RamRegion", "Snapshot", "Store", "open", "verify", "write"]
