# SPDX-License-Identifier: BSD-2-Clause
"""A debugger's way into a running machine: gdb's remote protocol, spoken to a target."""
