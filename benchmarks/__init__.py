# SPDX-License-Identifier: BSD-2-Clause
"""Benchmarks, each side by side with its peers: `python -m benchmarks`.

A benchmark is a module of this package with `NAME`, `PEERS` and `measure() -> list[Row]`; it is
found by that alone. `measure` may take one argument, the Effort.
"""
