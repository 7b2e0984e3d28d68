# SPDX-License-Identifier: BSD-2-Clause
"""The 16550A uart, on the ISA bus and on PCI."""
