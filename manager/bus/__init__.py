# SPDX-License-Identifier: BSD-2-Clause
"""What devices are wired to: ports, lines, the clock, PCI, and the shape of their state."""
