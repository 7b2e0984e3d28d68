# SPDX-License-Identifier: BSD-2-Clause
"""Stores that machines share: snapshots as chunks named by their content. See docs/stores.md."""
