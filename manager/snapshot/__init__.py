# SPDX-License-Identifier: BSD-2-Clause
"""Snapshots: preamble, manifest, versioned records, RAM objects."""
