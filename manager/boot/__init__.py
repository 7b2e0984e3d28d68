# SPDX-License-Identifier: BSD-2-Clause
"""Loading the boot images into RAM, and the CPU state to start in."""
