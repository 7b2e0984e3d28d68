# SPDX-License-Identifier: BSD-2-Clause
"""Snapshots: preamble, manifest, versioned records, RAM objects (docs/snapshot-format.md).

`read.open_snapshot`, `write.write_snapshot` and `store.Store` are the ways in.
"""
