# SPDX-License-Identifier: BSD-2-Clause
"""What the wires of a lab can be: the least and the most, both possible."""

from __future__ import annotations

LATENCIES = 1_000, 10_000_000_000
"""ns."""
BANDWIDTHS = 1_000, 100_000_000_000
"""Bits a second."""
BAUDS = 50, 10_000_000
"""Bits a second; a byte has ten."""
SEEDS = 0, (1 << 63) - 1
