# SPDX-License-Identifier: BSD-2-Clause
"""Loading what the machine starts with into RAM, and the CPU state it starts in."""
